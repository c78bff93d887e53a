//! The template language of texts: `{{ … }}`.

use fornax_core::Text;
use fornax_core::builder::BuildData;
use fornax_core::interpolate::{BuildFacts, Scope, build_keys, calls, check_syntax, refers_to_user, render};
use fornax_core::secret::Secret;

use super::{CANARY, build_facts};

pub(super) fn interpolation(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(error) = check_syntax(&text) {
        assert!(error.at <= text.len() && !error.message.is_empty(), "{error:?}");
    }
    for (_, at) in build_keys(&text) {
        assert!(text.is_char_boundary(at), "the place {at} is not one");
    }
    calls(&text);
    refers_to_user(&text);
    let user = |name: &str| match name {
        "pw" => Some(Text::secret(Secret::new(CANARY))),
        "a" => Some(Text::plain("value of a")),
        _ => None,
    };
    let env = |name: &str| (name == "HERE").then(|| "from the environment".to_owned());
    let facts = build_facts();
    let dot: BuildData =
        [("Vars".to_owned(), "A=1".into()), ("Path".to_owned(), Text::secret(Secret::new(CANARY)))]
            .into_iter()
            .collect();
    for (build, dot) in
        [(BuildFacts::None, None), (BuildFacts::Pending, None), (BuildFacts::Known(&facts), Some(&dot))]
    {
        let scope = Scope {
            user: &user,
            strict_user: dot.is_none(),
            env: dot.is_none().then_some(&env as _),
            build,
            build_name: Some("name"),
            build_type: Some("type"),
            template_dir: "/template",
            working_dir: "/work",
            start_time: jiff::Timestamp::UNIX_EPOCH,
            dot,
        };
        match render(&text, &scope) {
            Ok(made) => drop(made.masked()),
            Err(problem) => {
                let (at, message) = (problem.at(), problem.to_string());
                assert!(at <= text.len() && !message.is_empty(), "{message} at {at} of {}", text.len());
                let written = text.contains(CANARY);
                assert!(written || !message.contains(CANARY), "a secret is shown: {message}");
            }
        }
    }
}

//! Who logs in, and to which cloud.

use fornax_core::{Diagnostic, Secret};

use super::reader::Reader;
use super::{CloudChoice, Surroundings};
use crate::cloud::NamedCloud;
use crate::token::Credentials;

pub fn cloud(r: &mut Reader, around: &Surroundings) -> Option<CloudChoice> {
    let metadata = r.word("metadata_host");
    let name = r.word("cloud_environment_name");
    if around.target_is_given {
        return None;
    }
    if let Some(word) = metadata {
        if let Err(error) = crate::cloud::metadata_url(&word.value) {
            r.push(word.error("azure/invalid-value", error.to_string()));
            return None;
        }
        return Some(CloudChoice::Metadata(word.value));
    }
    if let Some(host) = (around.env)("ARM_METADATA_URL").filter(|h| !h.is_empty()) {
        if let Err(error) = crate::cloud::metadata_url(&host) {
            let diagnostic = Diagnostic::error("azure/invalid-value", format!("ARM_METADATA_URL: {error}"));
            r.push(diagnostic.at(&r.span()));
            return None;
        }
        return Some(CloudChoice::Metadata(host));
    }
    let Some(word) = name else { return Some(CloudChoice::Named(NamedCloud::Public)) };
    let named = NamedCloud::parse(&word.value);
    if named.is_none() {
        r.push(
            word.error("azure/unknown-cloud", format!("there is no cloud called \"{}\"", word.shown))
                .help("write \"Public\", \"USGovernment\" or \"China\", or name the cloud's metadata_host"),
        );
    }
    named.map(CloudChoice::Named)
}

pub fn credentials(r: &mut Reader, around: &Surroundings) -> Credentials {
    let credentials = Credentials {
        tenant_id: r.string("tenant_id"),
        client_id: r.string("client_id").unwrap_or_default(),
        client_secret: r.secret("client_secret").unwrap_or_else(|| Secret::new("")),
        subscription_id: r.string("subscription_id").unwrap_or_default(),
    };
    if around.target_is_given {
        return credentials;
    }
    // Those who ask for another way to log in were told already that it does not work yet.
    let other =
        ["use_azure_cli_auth", "client_jwt", "client_cert_path", "oidc_request_url", "oidc_request_token"]
            .iter()
            .any(|key| r.is_set(key));
    let given = [
        ("client_id", !credentials.client_id.is_empty()),
        ("client_secret", !credentials.client_secret.expose().is_empty()),
        ("subscription_id", !credentials.subscription_id.is_empty()),
    ];
    if other {
        return credentials;
    }
    let identity = !["client_id", "client_secret", "tenant_id"].iter().any(|key| r.member(key).is_some());
    if identity {
        let diagnostic = Diagnostic::error(
            "azure/not-supported-yet",
            "logging in with a managed identity is not supported yet, and no credentials are given",
        )
        .at(&r.span())
        .help("give client_id, client_secret and subscription_id (and tenant_id) of a service principal");
        r.push(diagnostic);
        return credentials;
    }
    for (key, given) in given {
        if !given && !r.is_told(key) {
            // An empty text usually comes from an environment variable that is not set.
            let help = if r.member(key).is_some() {
                "its value is empty: is the variable or environment variable that it comes from set?"
            } else {
                "a service principal has client_id, client_secret and subscription_id: az ad sp create-for-rbac"
            };
            let span = r.value_span(key);
            let summary = format!("\"{key}\" is missing: it is needed to log in");
            r.push(Diagnostic::error("azure/missing-option", summary).at(&span).help(help));
        }
    }
    credentials
}

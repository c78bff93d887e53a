//! What will be built: the template with its variables settled. A [`Plan`] is the same for every template language;
//! configurations stay behind [`ConfigSource`], because some of their values are known only while a build runs.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::builder::BuildData;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::plugin::Renderer;
use crate::schema::Typing;
use crate::source::Span;
use crate::value::{Node, Text};

/// A configuration whose texts are not rendered yet.
pub trait ConfigSource: Send + Sync {
    /// Renders the configuration. Without build data, values that depend on the running build come back as
    /// [`crate::Value::Unknown`]. The members named in `deferred` (top level) are left as they were written, because
    /// their consumer renders them with its own dot-variables.
    fn resolve(&self, data: Option<&BuildData>, deferred: &[String]) -> (Node, Diagnostics);

    /// Renders deferred texts with the same variables and build data.
    fn renderer(&self, data: &BuildData) -> Arc<dyn Renderer>;

    /// Where the block stands in the template.
    fn span(&self) -> &Span;

    /// Findings about this configuration, with the places where the values that they are about were given.
    fn explain(&self, found: Diagnostics) -> Diagnostics {
        found
    }

    /// Values that are not known because nobody was asked for them this time, or because of a mistake that has been told:
    /// they are no mistakes themselves.
    fn not_known(&self) -> Vec<Span> {
        Vec::new()
    }

    /// What the language lets stand for something else.
    fn typing(&self) -> Typing {
        Typing::Weak
    }

    /// The facts of the running build that the texts name (`{{build "Key"}}`), as far as they are written literally.
    fn build_keys(&self) -> Vec<(String, Span)> {
        Vec::new()
    }
}

/// Everything that a run will do.
#[derive(Clone, Default)]
pub struct Plan {
    /// In template order (JSON: sorted by name, as Packer starts them).
    pub builds: Vec<BuildPlan>,
    /// Settled variables by name.
    pub variables: IndexMap<String, Text>,
    /// All values that must be masked.
    pub secrets: Vec<crate::Secret>,
}

/// One build: a builder with its provisioners and post-processors, `only` and `except` applied.
#[derive(Clone)]
pub struct BuildPlan {
    /// As people see it and as `-only` names it.
    pub name: String,
    /// As components see it: without the name of the build block.
    pub short_name: String,
    pub builder_type: String,
    pub type_span: Span,
    /// The build block, in languages that have one apart from the builder.
    pub build_span: Option<Span>,
    pub config: Arc<dyn ConfigSource>,
    pub provisioners: Vec<ProvisionerPlan>,
    pub error_cleanup: Option<ProvisionerPlan>,
    /// Each sequence starts from the builder's artifact.
    pub post_processors: Vec<Vec<PostProcessorPlan>>,
}

impl BuildPlan {
    /// As output shows it: with the builder's type in front, unless the name is the type.
    pub fn display_name(&self) -> String {
        if self.name == self.builder_type {
            self.name.clone()
        } else {
            format!("{}.{}", self.builder_type, self.name)
        }
    }

    /// The configurations of all components, the builder's first.
    pub fn configs(&self) -> impl Iterator<Item = &Arc<dyn ConfigSource>> {
        let provisioners = self.provisioners.iter().chain(&self.error_cleanup).map(|p| &p.config);
        let post_processors = self.post_processors.iter().flatten().map(|p| &p.config);
        std::iter::once(&self.config).chain(provisioners).chain(post_processors)
    }

    /// The types of provisioners and post-processors.
    pub fn component_types(&self) -> impl Iterator<Item = &str> {
        let provisioners = self.provisioners.iter().chain(&self.error_cleanup).map(|p| p.type_name.as_str());
        provisioners.chain(self.post_processors.iter().flatten().map(|p| p.type_name.as_str()))
    }

    /// Finds facts of the running build that this builder will never offer; `builder_keys` are those beyond the common
    /// ones ([`crate::builder::BuilderFactory::build_data_keys`]).
    pub fn check_build_keys(&self, builder_keys: &[&str]) -> Diagnostics {
        let known: Vec<&str> =
            crate::interpolate::COMMON_BUILD_KEYS.iter().chain(builder_keys).copied().collect();
        let mut found = Diagnostics::new();
        for (key, span) in self.configs().flat_map(|c| c.build_keys()) {
            if known.contains(&key.as_str()) {
                continue;
            }
            let help = match nearest(&key, known.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("known are {}", known.join(", ")),
            };
            found.push(
                Diagnostic::error("template/unknown-build-key", format!("no build has the fact \"{key}\""))
                    .at(&span)
                    .help(help),
            );
        }
        found
    }
}

#[derive(Clone)]
pub struct ProvisionerPlan {
    pub type_name: String,
    pub type_span: Span,
    /// What output and report call the step; the type unless the template names it.
    pub name: String,
    /// The `override` of this build is merged in.
    pub config: Arc<dyn ConfigSource>,
    pub pause_before: Duration,
    pub timeout: Option<Duration>,
    /// Tries beyond the first.
    pub max_retries: u32,
    pub continue_on_error: bool,
}

#[derive(Clone)]
pub struct PostProcessorPlan {
    pub type_name: String,
    pub type_span: Span,
    pub name: String,
    pub config: Arc<dyn ConfigSource>,
    /// None: as the post-processor likes it.
    pub keep_input_artifact: Option<bool>,
}

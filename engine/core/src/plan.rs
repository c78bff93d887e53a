//! What will be built: the template with its variables settled. A [`Plan`] is the same for every template language;
//! configurations stay behind [`ConfigSource`], because some of their values are known only while a build runs.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::builder::BuildData;
use crate::diagnostic::Diagnostics;
use crate::plugin::Renderer;
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
}

/// Everything that a run will do.
#[derive(Clone)]
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
    pub builder_type: String,
    pub type_span: Span,
    pub config: Arc<dyn ConfigSource>,
    pub provisioners: Vec<ProvisionerPlan>,
    pub error_cleanup: Option<ProvisionerPlan>,
    /// Each sequence starts from the builder's artifact.
    pub post_processors: Vec<Vec<PostProcessorPlan>>,
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

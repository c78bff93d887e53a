//! What the annotations say about each kind of block.

pub(super) const FILE: &str = "\
Converted from a JSON template. Read it once before you use it, and give the blocks better names.
A folder can hold the blocks in several files, as long as their names end in .pkr.hcl.
Texts in {{ }} are rendered by the components while the build runs, after expressions in ${ } have been.
";

pub(super) const PACKER: &str = "What this template needs: the version of its language, and plugins.";

pub(super) const VARIABLES: &str = "\
Input variables. In a JSON template all of them are strings; a narrower type finds more mistakes.
";

pub(super) const SECRETS: &str = "Secrets of AWS Secrets Manager, from calls of aws_secretsmanager.";

pub(super) const IMAGES: &str = "Source images, from source_ami_filter of amazon builders.";

pub(super) const TIMESTAMP: &str = "\
Takes the place of the function timestamp of JSON templates: date and time of the start, digits only.
";

pub(super) const LEGACY_TIME: &str = "\
legacy_isotime and legacy_strftime format as JSON templates do; formatdate is the function of today.
";

pub(super) const LOCALS: &str =
    "Variables that are made from others or from functions, which defaults can't be.";

pub(super) const SOURCES: &str = "One source a builder; build blocks refer to them.";

pub(super) const BUILD: &str = "What is done with the sources: provisioners in order, then post-processors.";

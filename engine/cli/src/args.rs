//! The command line. Packer's flags work with one dash or two; everything is turned into two before clap sees it.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use fornax_core::schema::common::BlockKind;

#[derive(Debug, Parser)]
#[command(
    name = "fornax",
    about = "Builds machine images from Packer templates",
    version,
    disable_version_flag = true
)]
#[command(args_override_self = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the images of a template
    Build(BuildArgs),
    /// Check a template completely without creating anything
    Validate(ValidateArgs),
    /// List variables, builders and provisioners of a template
    Inspect(InspectArgs),
    /// Write HCL files in the canonical format
    Fmt(FmtArgs),
    /// Rewrite the keys of a JSON template that have changed over the years
    Fix(FixArgs),
    /// Convert a JSON template to HCL2
    #[command(name = "hcl2_upgrade")]
    Hcl2Upgrade(Hcl2UpgradeArgs),
    /// Remove what builds left behind that ended without cleaning up
    Cleanup(CleanupArgs),
    /// Run or ask the local Azure simulator
    #[command(subcommand)]
    Simulator(SimulatorCommand),
    /// List the plugins with their types, digests and rights
    Plugins(PluginArgs),
    /// List the types that templates can use, or show the options of one
    Docs(DocsArgs),
    /// Print a JSON Schema of whole templates, for editors
    Schema(SchemaArgs),
    /// Evaluate expressions with the values of a template
    Console(ConsoleArgs),
    /// Check that the plugins are there which a template requires
    Init(InitArgs),
    /// Print a script that completes commands and flags in a shell
    Completions(CompletionsArgs),
    /// Print the version
    Version(VersionArgs),
}

fn switch() -> clap::builder::ValueParser {
    clap::builder::ValueParser::new(|text: &str| match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" => Ok(true),
        "0" | "f" | "false" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    })
}

/// What every command that reads a template takes.
#[derive(Clone, Debug, Default, Args)]
pub struct TemplateArgs {
    /// Variable, `name=value`; may repeat
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// File with variables, JSON or HCL; may repeat
    #[arg(long = "var-file", value_name = "FILE")]
    pub var_files: Vec<PathBuf>,
    /// Only these builds, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub only: Vec<String>,
    /// All builds and post-processors but these, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub except: Vec<String>,
    /// `hcl2` for a console without a template
    #[arg(long = "config-type", value_name = "TYPE")]
    pub config_type: Option<String>,
}

/// Flags of Packer that have nothing to choose between here.
#[derive(Clone, Debug, Default, Args)]
pub struct IgnoredArgs {
    /// Accepted for compatibility: plugins are never taken from elsewhere
    #[arg(long = "ignore-prerelease-plugins", hide = true)]
    pub ignore_prerelease_plugins: bool,
    /// Accepted for compatibility: values are always found in the order in which they depend on each other
    #[arg(long = "use-sequential-evaluation", hide = true)]
    pub use_sequential_evaluation: bool,
    /// Accepted for compatibility: no registry enforces anything
    #[arg(long = "skip-enforcement", hide = true)]
    pub skip_enforcement: bool,
}

#[derive(Clone, Debug, Default, Args)]
pub struct PluginArgs {
    /// Folder with plugins (`NAME/plugin.wasm`); may repeat
    #[arg(long = "plugin-dir", value_name = "DIR")]
    pub plugin_dirs: Vec<PathBuf>,
    /// Grant a right to a plugin, `PLUGIN=RIGHT[:WHAT]`, for instance `acme/notes=network:example.org`; may repeat
    #[arg(long = "grant", value_name = "GRANT")]
    pub grants: Vec<String>,
    /// Take a right away, from all plugins or from one, `[PLUGIN=]RIGHT[:WHAT]`: `host-exec`, `network`, `all`,
    /// `shell-local=host-exec`; may repeat
    #[arg(long = "deny", value_name = "DENIAL")]
    pub denials: Vec<String>,
    /// JSON file with grants and denials
    #[arg(long = "policy", value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub enum OnErrorArg {
    #[default]
    Cleanup,
    Abort,
    Ask,
    RunCleanupProvisioner,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MachineArg {
    Record,
    Jail,
    #[default]
    Auto,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LatencyArg {
    #[default]
    Instant,
    Azure,
}

/// How the simulated Azure behaves; the same for `--simulate` and `simulator serve`.
#[derive(Clone, Debug, Default, Args)]
pub struct SimulationArgs {
    /// What stands behind a simulated machine
    #[arg(long, value_enum, default_value_t)]
    pub machine: MachineArg,
    /// How long simulated operations take
    #[arg(long, value_enum, default_value_t)]
    pub latency: LatencyArg,
    /// JSON file with faults
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// JSON file with resource groups and images that exist at the start
    #[arg(long, value_name = "FILE")]
    pub seed: Option<PathBuf>,
    /// JSON file that names base root file systems
    #[arg(long, value_name = "FILE")]
    pub catalogue: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    pub template: TemplateArgs,
    #[command(flatten)]
    pub plugins: PluginArgs,
    /// Colour in the output
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch(), action = ArgAction::Set)]
    pub color: Option<bool>,
    /// Pause between steps
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", value_parser = switch(), action = ArgAction::Set)]
    pub debug: bool,
    /// Replace artifacts that exist
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", value_parser = switch(), action = ArgAction::Set)]
    pub force: bool,
    /// What to do when a step fails
    #[arg(long = "on-error", value_enum, default_value_t)]
    pub on_error: OnErrorArg,
    /// Builds that run at once; 0 means all
    #[arg(long = "parallel-builds", default_value_t = 0)]
    pub parallel_builds: usize,
    /// A time in front of each message
    #[arg(long = "timestamp-ui", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", value_parser = switch(), action = ArgAction::Set)]
    pub timestamp_ui: bool,
    /// Events as JSON, one a line
    #[arg(long)]
    pub json: bool,
    /// Packer's machine-readable lines
    #[arg(long = "machine-readable")]
    pub machine_readable: bool,
    /// Warn of values in variable files that no variable is declared for
    #[arg(long = "warn-on-undeclared-var", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", value_parser = switch(), action = ArgAction::Set)]
    pub warn_on_undeclared_var: bool,
    #[command(flatten)]
    pub ignored: IgnoredArgs,
    /// Write the report of the run as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Build on the simulated Azure in this process instead of the real one
    #[arg(long)]
    pub simulate: bool,
    #[command(flatten)]
    pub simulation: SimulationArgs,
    /// Template file, or `-` for standard input
    pub path: String,
}

#[derive(Clone, Debug, Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    pub template: TemplateArgs,
    #[command(flatten)]
    pub plugins: PluginArgs,
    /// Check the syntax only
    #[arg(long = "syntax-only")]
    pub syntax_only: bool,
    /// Diagnostics as JSON, one a line
    #[arg(long)]
    pub json: bool,
    /// Say nothing about values in variable files that no variable is declared for
    #[arg(long = "no-warn-undeclared-var")]
    pub no_warn_undeclared_var: bool,
    /// Ask the data sources; without it what they give is not known
    #[arg(long = "evaluate-datasources")]
    pub evaluate_datasources: bool,
    #[command(flatten)]
    pub ignored: IgnoredArgs,
    /// Accepted for compatibility
    #[arg(long = "machine-readable")]
    pub machine_readable: bool,
    pub path: String,
}

#[derive(Clone, Debug, Args)]
pub struct InspectArgs {
    #[command(flatten)]
    pub template: TemplateArgs,
    #[command(flatten)]
    pub plugins: PluginArgs,
    #[command(flatten)]
    pub ignored: IgnoredArgs,
    #[arg(long = "machine-readable")]
    pub machine_readable: bool,
    /// Diagnostics as JSON, one a line
    #[arg(long)]
    pub json: bool,
    pub path: String,
}

#[derive(Clone, Debug, Args)]
pub struct FmtArgs {
    /// Write nothing; exit with 3 if a file is not in the format
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", value_parser = switch(), action = ArgAction::Set)]
    pub check: bool,
    /// Show what changes as a unified diff
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", value_parser = switch(), action = ArgAction::Set)]
    pub diff: bool,
    /// Write the files
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", value_parser = switch(), action = ArgAction::Set)]
    pub write: bool,
    /// The folders in a folder too
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", value_parser = switch(), action = ArgAction::Set)]
    pub recursive: bool,
    /// `.pkr.hcl` and `.pkrvars.hcl` files, folders with such files, or `-` for standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub paths: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub struct ConsoleArgs {
    #[command(flatten)]
    pub template: TemplateArgs,
    #[command(flatten)]
    pub ignored: IgnoredArgs,
    /// Diagnostics as JSON, one a line
    #[arg(long)]
    pub json: bool,
    /// Template file or folder
    pub path: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    #[command(flatten)]
    pub template: TemplateArgs,
    #[command(flatten)]
    pub plugins: PluginArgs,
    /// Accepted for compatibility: nothing is fetched, so nothing is upgraded
    #[arg(long, hide = true)]
    pub upgrade: bool,
    /// Accepted for compatibility
    #[arg(long, hide = true)]
    pub force: bool,
    /// Diagnostics as JSON, one a line
    #[arg(long)]
    pub json: bool,
    /// Template file or folder
    pub path: String,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = crate::command::fix::help())]
pub struct FixArgs {
    #[command(flatten)]
    pub template: TemplateArgs,
    /// Check the fixed template
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", value_parser = switch(), action = ArgAction::Set)]
    pub validate: bool,
    /// Diagnostics as JSON, one a line, on standard output after the template
    #[arg(long)]
    pub json: bool,
    /// JSON template, or `-` for standard input
    pub path: String,
}

/// What a block of a template can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub enum KindArg {
    Builder,
    Provisioner,
    PostProcessor,
    DataSource,
}

impl From<KindArg> for BlockKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Builder => Self::Builder,
            KindArg::Provisioner => Self::Provisioner,
            KindArg::PostProcessor => Self::PostProcessor,
            KindArg::DataSource => Self::DataSource,
        }
    }
}

#[derive(Clone, Debug, Args)]
pub struct DocsArgs {
    #[command(flatten)]
    pub plugins: PluginArgs,
    /// Only types of this kind
    #[arg(long, value_enum)]
    pub kind: Option<KindArg>,
    /// The same as one JSON object
    #[arg(long)]
    pub json: bool,
    /// The type to show, or `functions`; all types are listed without it
    #[arg(value_name = "TYPE")]
    pub type_name: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub struct SchemaArgs {
    #[command(flatten)]
    pub plugins: PluginArgs,
    /// Of HCL2 templates in their JSON form (`*.pkr.json`)
    #[arg(long = "hcl-json")]
    pub hcl_json: bool,
}

#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    pub shell: clap_complete::Shell,
}

#[derive(Clone, Debug, Args)]
pub struct VersionArgs {
    /// Packer's machine-readable lines
    #[arg(long = "machine-readable")]
    pub machine_readable: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Hcl2UpgradeArgs {
    #[command(flatten)]
    pub template: TemplateArgs,
    /// Where the result goes: the template's name with `.pkr.hcl` unless given, `-` for standard output
    #[arg(long = "output-file", value_name = "FILE")]
    pub output_file: Option<PathBuf>,
    /// Comments that explain the blocks
    #[arg(long = "with-annotations", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", value_parser = switch(), action = ArgAction::Set)]
    pub with_annotations: bool,
    /// Diagnostics as JSON, one a line
    #[arg(long)]
    pub json: bool,
    /// JSON template, or `-` for standard input
    pub path: String,
}

#[derive(Clone, Debug, Args)]
pub struct CleanupArgs {
    /// Only this build
    #[arg(long, value_name = "ID")]
    pub build: Option<String>,
    /// All builds that did not end cleanly
    #[arg(long, conflicts_with = "build")]
    pub all: bool,
    /// Where journals are lost: look for resources by the tags of builds, with the credentials of this template, or
    /// with those of ARM_CLIENT_ID, ARM_CLIENT_SECRET, ARM_TENANT_ID and ARM_SUBSCRIPTION_ID when none is named
    #[arg(long = "by-tag", value_name = "TEMPLATE", num_args = 0..=1, default_missing_value = "")]
    pub by_tag: Option<String>,
    /// Say what would be removed, and remove nothing
    #[arg(long = "dry-run")]
    pub dry_run: bool,
    /// The result as JSON
    #[arg(long)]
    pub json: bool,
    /// Variable of the build's template, where the credentials need one; may repeat
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// Variable file of the build's template; may repeat
    #[arg(long = "var-file", value_name = "FILE")]
    pub var_files: Vec<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum SimulatorCommand {
    /// Serve a local Azure over HTTPS until SIGTERM
    Serve {
        #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
        listen: std::net::SocketAddr,
        /// Where the certificate authority is written (PEM)
        #[arg(long = "ca-out", value_name = "FILE")]
        ca_out: PathBuf,
        /// Port on which machines answer SSH; 0 chooses a free one
        #[arg(long = "ssh-port", default_value_t = 0)]
        ssh_port: u16,
        #[command(flatten)]
        simulation: SimulationArgs,
    },
    /// Print what exists as a JSON array
    Inventory {
        #[arg(long, value_name = "URL")]
        endpoint: String,
        #[arg(long, value_name = "FILE")]
        ca: PathBuf,
    },
}

/// Turns Packer's single-dash flags into double-dash ones. Short flags and values are left alone.
pub fn normalize(args: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut out = Vec::new();
    let mut args = args.into_iter();
    out.extend(args.next());
    let mut flags = true;
    for arg in args {
        flags &= arg != "--";
        let name = arg.strip_prefix('-').unwrap_or_default();
        let is_long = name.len() > 1 && name.starts_with(|c: char| c.is_ascii_lowercase());
        out.push(if flags && is_long { format!("-{arg}") } else { arg });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(normalize(line.split(' ').map(str::to_owned)))
    }

    #[test]
    fn packers_flags_work_with_one_dash() {
        let cli = parse(
            "fornax build -color=false -only=a,b -var x=-y -var-file v.json -parallel-builds=2 -timestamp-ui -on-error=abort t.json",
        );
        let Ok(Cli { command: Command::Build(build) }) = cli else { panic!("{cli:?}") };
        assert_eq!(build.color, Some(false));
        assert_eq!(build.template.only, ["a", "b"]);
        assert_eq!(build.template.vars, ["x=-y"]);
        assert!(build.timestamp_ui && !build.debug);
        assert_eq!(build.parallel_builds, 2);
        assert_eq!(build.on_error, OnErrorArg::Abort);
        assert_eq!(build.path, "t.json");
        let cli = parse("fornax fmt -check -write=false -recursive=true a -");
        let Ok(Cli { command: Command::Fmt(fmt) }) = cli else { panic!("{cli:?}") };
        assert!(fmt.check && !fmt.diff && !fmt.write && fmt.recursive);
        assert_eq!(fmt.paths, ["a", "-"]);
        let cli = parse("fornax fmt");
        let Ok(Cli { command: Command::Fmt(fmt) }) = cli else { panic!("{cli:?}") };
        assert!(fmt.write && !fmt.check && fmt.paths == ["."]);
        for (line, template, build) in [
            ("fornax cleanup --by-tag", Some(""), None),
            ("fornax cleanup -by-tag --all", Some(""), None),
            ("fornax cleanup --by-tag t.json --build b", Some("t.json"), Some("b")),
            ("fornax cleanup --all", None, None),
        ] {
            let Ok(Cli { command: Command::Cleanup(cleanup) }) = parse(line) else { panic!("{line}") };
            assert_eq!((cleanup.by_tag.as_deref(), cleanup.build.as_deref()), (template, build), "{line}");
        }
        assert!(parse("fornax build -nonsense t.json").is_err());
        assert!(parse("fornax build").is_err());
    }

    #[test]
    fn documentation_is_asked_for_by_type_and_kind() {
        let line = "fornax docs -kind post-processor -json --plugin-dir p shell-local";
        let Ok(Cli { command: Command::Docs(docs) }) = parse(line) else { panic!("{line}") };
        assert_eq!(
            (docs.kind, docs.type_name.as_deref()),
            (Some(KindArg::PostProcessor), Some("shell-local"))
        );
        assert!(docs.json && docs.plugins.plugin_dirs == [PathBuf::from("p")]);
        let Ok(Cli { command: Command::Docs(docs) }) = parse("fornax docs") else { panic!("all types") };
        assert!(!docs.json && docs.type_name.is_none() && docs.kind.is_none());
        assert!(parse("fornax docs -kind communicator ssh").is_err());
        for (line, hcl) in [("fornax schema", false), ("fornax schema -hcl-json -plugin-dir p", true)] {
            let Ok(Cli { command: Command::Schema(schema) }) = parse(line) else { panic!("{line}") };
            assert_eq!((schema.hcl_json, schema.plugins.plugin_dirs.len()), (hcl, usize::from(hcl)));
        }
    }

    #[test]
    fn conversions_take_packers_flags() {
        for (line, validate) in
            [("fornax fix t.json", true), ("fornax fix -validate=false -var a=b t.json", false)]
        {
            let Ok(Cli { command: Command::Fix(fix) }) = parse(line) else { panic!("{line}") };
            assert_eq!((fix.validate, fix.path.as_str()), (validate, "t.json"), "{line}");
        }
        let cli =
            parse("fornax hcl2_upgrade -with-annotations -output-file=new/t.pkr.hcl -var-file v.json t.json");
        let Ok(Cli { command: Command::Hcl2Upgrade(upgrade) }) = cli else { panic!("{cli:?}") };
        assert!(upgrade.with_annotations);
        assert_eq!(upgrade.output_file, Some(PathBuf::from("new/t.pkr.hcl")));
        assert!(parse("fornax hcl2_upgrade").is_err());
    }
}

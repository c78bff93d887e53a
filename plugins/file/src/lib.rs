//! The provisioner `file`: uploads files, directories and content, and downloads, with the rules of Packer's (which are
//! those of rsync for trailing slashes). What can be decided without a machine is in `paths`.

pub mod paths;

use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{FileState, file_state, say};

/// The configuration of a step.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    pub source: Option<String>,
    pub sources: Vec<String>,
    pub content: Option<String>,
    pub destination: String,
    pub direction: Option<String>,
    pub generated: bool,
}

impl Config {
    /// All sources, in order.
    pub fn all_sources(&self) -> Vec<&str> {
        self.source
            .iter()
            .map(String::as_str)
            .filter(|s| !s.is_empty())
            .chain(self.sources.iter().map(String::as_str))
            .collect()
    }

    pub fn is_download(&self) -> bool {
        self.direction.as_deref() == Some("download")
    }
}

/// The provisioner.
pub struct File;

impl Provisioner for File {
    const NAME: &'static str = "file";
    type Config = Config;

    fn describe() -> Description {
        Description::new("Copies files to and from the machine")
            .docs("Uploads a file, a directory or given content, or downloads with `direction = download`.\n\nA directory source with a final slash copies what is in it, without one the directory itself. A destination with a final slash is a directory. The login user's rights apply: copy to `/tmp` and move with a `shell` provisioner where they are not enough.")
            .options(
                &["destination"],
                json!({
                    "source": {"type": "string", "x-host-path": true, "description": "File or directory; on the machine for a download."},
                    "sources": {"type": "array", "items": {"type": "string", "x-host-path": true}, "description": "Several sources."},
                    "content": {"type": "string", "description": "Content to upload, instead of a source."},
                    "destination": {"type": "string", "minLength": 1, "x-host-output": true, "description": "Where it goes: on the machine, or here for a download."},
                    "direction": {"type": "string", "enum": ["upload", "download"], "default": "upload", "description": "To the machine, or from it."},
                    "generated": {"type": "boolean", "default": false, "description": "The source is made by an earlier step: do not check it beforehand."}
                }),
            )
            .example(json!({"source": "app.conf", "destination": "/tmp/app.conf"}))
            .example(json!({"source": "/var/log/build.log", "destination": "logs/", "direction": "download"}))
    }

    fn prepare(check: &mut Check) -> Result<()> {
        paths::check(check, &|path| match file_state(path) {
            FileState::Missing => Some("it does not exist".to_owned()),
            FileState::Unreadable(why) => Some(why),
            _ => None,
        });
        Ok(())
    }

    fn provision(config: Config, machine: Machine) -> Result<Outcome> {
        if config.is_download() {
            return download(&config, &machine);
        }
        if let Some(content) = &config.content {
            let to = paths::content_target(&config.destination);
            say(format!("Uploading content => {to}"));
            machine.write(content, &to, 0o644).map_err(|e| upload_failed(e, &to))?;
            return Ok(Outcome::changed());
        }
        for source in config.all_sources() {
            say(format!("Uploading {source} => {}", config.destination));
            let file =
                files::open(source).map_err(|e| e.context(format!("Upload failed: can't read {source}")))?;
            let to = paths::upload_target(source, file.info()?.is_directory, &config.destination);
            machine.upload_file(&file, &to).map_err(|e| upload_failed(e, &to))?;
        }
        Ok(Outcome::changed())
    }
}

fn upload_failed(error: Error, to: &str) -> Error {
    if error.is(ErrorCode::NotFound) {
        let parent = to.trim_end_matches('/').rsplit_once('/').map_or("/", |(parent, _)| parent);
        return error.context(format!("Upload failed: the folder {parent} does not exist on the machine, or its user may not write there; make it in an earlier shell step"));
    }
    error.context("Upload failed")
}

fn download(config: &Config, machine: &Machine) -> Result<Outcome> {
    for (index, source) in config.all_sources().into_iter().enumerate() {
        say(format!("Downloading {source} => {}", config.destination));
        let name = format!("download-{index}");
        let file = machine
            .download(source.trim_end_matches('/'), &name)
            .map_err(|e| e.context("Download failed"))?;
        let to = paths::download_target(source, &config.destination);
        files::step_workspace()?.publish(&file, &to, true).map_err(|e| e.context("Download failed"))?;
    }
    Ok(Outcome::unchanged())
}

fornax_plugin_sdk::export_provisioners!("fornax/file": File);

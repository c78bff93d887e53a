//! Which options there are: those that work stand in the schema, those of Packer's builder that do not work yet in a
//! table here. An option that is in neither is a mistake of the user; one that does not work yet is refused by name,
//! never ignored.

use fornax_core::diagnostic::nearest;
use fornax_core::{Diagnostic, Diagnostics, Node};

use super::reader::Reader;
use super::schema;

/// Options of every builder, which the engine reads.
const COMMON: [&str; 2] = ["type", "name"];

/// Options that Packer knows and this builder does not support yet, with what to do instead.
pub const LATER: &[(&str, &str)] = &[
    ("client_cert_path", "log in with client_secret"),
    ("client_cert_password", "log in with client_secret"),
    ("client_jwt", "log in with client_secret"),
    ("oidc_request_token", "log in with client_secret"),
    ("oidc_request_url", "log in with client_secret"),
    ("use_azure_cli_auth", "log in with client_id and client_secret"),
    ("image_url", "use a marketplace or managed image as source"),
    ("shared_image_gallery", "use a marketplace or managed image as source"),
    ("shared_image_gallery_destination", "make a managed image (managed_image_name)"),
    ("shared_image_gallery_timeout", "make a managed image (managed_image_name)"),
    ("shared_image_gallery_replica_count", "make a managed image (managed_image_name)"),
    ("shared_gallery_image_version_end_of_life_date", "make a managed image (managed_image_name)"),
    ("shared_gallery_image_version_exclude_from_latest", "make a managed image (managed_image_name)"),
    ("capture_container_name", "make a managed image (managed_image_name)"),
    ("capture_name_prefix", "make a managed image (managed_image_name)"),
    ("storage_account", "make a managed image (managed_image_name)"),
    ("resource_group_name", "make a managed image; its group is managed_image_resource_group_name"),
    ("sas_token_duration", "make a managed image (managed_image_name)"),
    ("disk_encryption_set_id", "leave it out: disks are encrypted with the platform's key"),
    ("secure_boot_enabled", "leave it out: a managed image can't have it"),
    ("vtpm_enabled", "leave it out: a managed image can't have it"),
    ("security_type", "leave it out: a managed image can't have it"),
    ("security_encryption_type", "leave it out: a managed image can't have it"),
    ("spot", "leave it out: the machine costs the regular price"),
    ("custom_script", "it is for Windows, which is not supported yet"),
    ("build_key_vault_name", "it is for Windows, which is not supported yet"),
    ("build_key_vault_secret_name", "it is for Windows, which is not supported yet"),
    ("build_key_vault_sku", "it is for Windows, which is not supported yet"),
    ("skip_create_build_key_vault", "it is for Windows, which is not supported yet"),
    ("winrm_expiration_time", "it is for Windows, which is not supported yet"),
];

/// Options of the communicator that only WinRM reads. With SSH they have no effect, in Packer as well.
pub const WINRM: &[&str] = &[
    "winrm_username",
    "winrm_password",
    "winrm_host",
    "winrm_port",
    "winrm_timeout",
    "winrm_use_ssl",
    "winrm_insecure",
    "winrm_use_ntlm",
    "winrm_no_proxy",
];

/// Reports unknown options with a suggestion, and those that don't work yet.
/// Returns the options that were meant by unknown ones.
pub fn check(config: &Node, found: &mut Diagnostics) -> Vec<String> {
    let mut misspelt = Vec::new();
    let properties = schema::properties();
    for member in config.members() {
        let is = |known: &str| known.eq_ignore_ascii_case(&member.key);
        if let Some((name, instead)) = LATER.iter().find(|(k, _)| is(k)) {
            // A value that asks for nothing (false, empty) is what Packer takes for absent.
            if Reader::new(config, found).is_set(name) {
                found.push(
                    Diagnostic::error("azure/not-supported-yet", format!("\"{name}\" is not supported yet"))
                        .at(&member.key_span)
                        .help((*instead).to_owned()),
                );
            }
            continue;
        }
        if COMMON.into_iter().any(is) || properties.keys().any(|key| is(key)) {
            continue;
        }
        let known = || properties.keys().map(String::as_str).filter(|key| !WINRM.contains(key));
        let finding =
            Diagnostic::error("azure/unknown-option", format!("azure-arm has no option \"{}\"", member.key))
                .at(&member.key_span);
        let near = nearest(&member.key, known());
        misspelt.extend(near.map(str::to_owned));
        found.push(match near {
            Some(near) => finding.help(format!("did you mean \"{near}\"?")),
            None if member.key.starts_with('_') => {
                finding.help("comments are allowed at the top level of the template only")
            }
            None => finding.help("remove it, or look for its name: `fornax docs azure-arm`"),
        });
    }
    let winrm = |m: &&fornax_core::value::Member| WINRM.iter().any(|k| k.eq_ignore_ascii_case(&m.key));
    if let Some(member) = config.members().iter().find(winrm)
        && Reader::new(config, found).string("communicator").is_none_or(|c| c != "winrm")
    {
        found.push(
            Diagnostic::warning("azure/no-effect", format!("\"{}\" has no effect without WinRM", member.key))
                .at(&member.key_span)
                .help("remove it; the machine is reached by SSH, whose options begin with ssh_"),
        );
    }
    misspelt
}

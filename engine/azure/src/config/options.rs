//! Every option of Packer's azure-arm builder, and whether it works here. An option that is in no table is a mistake of
//! the user; one that does not work yet is refused by name, never ignored.

use fornax_core::diagnostic::nearest;
use fornax_core::{Diagnostic, Diagnostics, Node};

use super::reader::Reader;

/// Options that work.
pub const SUPPORTED: &[&str] = &[
    // Who and where.
    "cloud_environment_name",
    "metadata_host",
    "subscription_id",
    "tenant_id",
    "client_id",
    "client_secret",
    "object_id",
    // Source.
    "image_publisher",
    "image_offer",
    "image_sku",
    "image_version",
    "plan_info",
    "custom_managed_image_name",
    "custom_managed_image_resource_group_name",
    // Destination.
    "managed_image_name",
    "managed_image_resource_group_name",
    "managed_image_storage_account_type",
    "managed_image_zone_resilient",
    "managed_image_os_disk_snapshot_name",
    "managed_image_data_disk_snapshot_prefix",
    "skip_create_image",
    "keep_os_disk",
    // Machine.
    "os_type",
    "location",
    "vm_size",
    "os_disk_size_gb",
    "disk_additional_size",
    "disk_additional_luns",
    "disk_caching_type",
    "disk_controller_type",
    "custom_data",
    "custom_data_file",
    "user_data",
    "user_data_file",
    "user_assigned_managed_identities",
    "boot_diag_storage_account",
    "license_type",
    "encryption_at_host",
    // Network.
    "virtual_network_name",
    "virtual_network_subnet_name",
    "virtual_network_resource_group_name",
    "private_virtual_network_with_public_ip",
    "allowed_inbound_ip_addresses",
    "public_ip_sku",
    "accelerated_networking",
    // Names, groups, tags, limits.
    "temp_resource_group_name",
    "build_resource_group_name",
    "temp_compute_name",
    "temp_nic_name",
    "temp_os_disk_name",
    "custom_resource_build_prefix",
    "azure_tags",
    "azure_tag",
    "async_resourcegroup_delete",
    "polling_duration_timeout",
    // Common to all builders.
    "type",
    "name",
    "communicator",
];

/// Options that Packer knows and this builder does not support yet, with what to do instead.
const LATER: &[(&str, &str)] = &[
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
const WINRM: &[&str] = &[
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
pub fn check(config: &Node, ssh: &[&str], found: &mut Diagnostics) -> Vec<String> {
    let mut misspelt = Vec::new();
    for member in config.members() {
        let is = |known: &str| known.eq_ignore_ascii_case(&member.key);
        if SUPPORTED.iter().chain(ssh).chain(WINRM).any(|k| is(k)) {
            continue;
        }
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
        let known = || SUPPORTED.iter().chain(ssh).chain(LATER.iter().map(|(k, _)| k)).copied();
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
            None => finding.help("remove it, or look for its name in the list of azure-arm's options"),
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

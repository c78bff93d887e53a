//! The options that say where and on what a build runs: login, machine, network, names and limits.

use serde_json::{Value as Json, json};

use crate::config::machine::OPERATION_LIMIT;
use crate::config::{CACHING, VM_SIZE, naming};

pub fn login() -> Json {
    json!({
        "cloud_environment_name": {"type": "string", "x-ignore-case": true, "default": "Public",
            "enum": ["Public", "PublicCloud", "AzurePublic", "AzurePublicCloud", "AzureCloud", "USGovernment",
                "USGovernmentCloud", "AzureUSGovernment", "AzureUSGovernmentCloud", "China", "ChinaCloud", "AzureChina",
                "AzureChinaCloud"],
            "description": "The cloud."},
        "metadata_host": {"type": "string",
            "description": "Address of a cloud that describes itself, with `https://`; wins over \
                            `cloud_environment_name`. The environment variable ARM_METADATA_URL stands in for it."},
        "subscription_id": {"type": "string", "description": "The subscription in which everything is made."},
        "tenant_id": {"type": "string", "description": "The tenant of the service principal; without it the cloud is asked."},
        "client_id": {"type": "string", "description": "The service principal that logs in."},
        "client_secret": {"type": "string", "writeOnly": true, "description": "Its secret."},
        "object_id": {"type": "string", "x-no-effect": true,
            "description": "The id of the principal's object; it is not needed."}
    })
}

pub fn machine() -> Json {
    json!({
        "os_type": {"type": "string", "enum": ["Linux"], "x-ignore-case": true,
            "description": "The machine's operating system. Windows is not supported yet."},
        "location": {"type": "string",
            "description": "The region to build in; not together with `build_resource_group_name`.",
            "examples": ["westeurope", "West Europe"]},
        "vm_size": {"type": "string", "default": VM_SIZE, "description": "The machine's size."},
        "os_disk_size_gb": {"type": "integer", "maximum": 4095,
            "description": "Size of the OS disk in GB; 0 leaves that of the source image."},
        "disk_additional_size": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65536},
            "description": "Sizes in GB of empty data disks to attach."},
        "disk_additional_luns": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 63},
            "uniqueItems": true,
            "description": "The LUN of each data disk; the first free ones without it."},
        "disk_caching_type": {"type": "string", "enum": ["None", "ReadOnly", "ReadWrite"], "x-ignore-case": true,
            "default": CACHING, "description": "Caching of the disks by the host."},
        "disk_controller_type": {"type": "string", "enum": ["SCSI", "NVMe"], "x-ignore-case": true,
            "description": "How disks are attached; the size's own way without it."},
        "custom_data": {"type": "string",
            "description": "Data for the machine's first boot, such as cloud-init; base64, or the text itself."},
        "custom_data_file": {"type": "string", "x-host-path": true,
            "description": "A file with these data, not encoded. Not together with `custom_data`."},
        "user_data": {"type": "string",
            "description": "User data that the machine can read as long as it lives; base64, or the text itself."},
        "user_data_file": {"type": "string", "x-host-path": true,
            "description": "A file with these data, not encoded. Not together with `user_data`."},
        "user_assigned_managed_identities": {"type": "array", "items": {"type": "string"},
            "description": "Ids of managed identities that the machine gets.",
            "examples": [["/subscriptions/ID/resourceGroups/GROUP/providers/Microsoft.ManagedIdentity/userAssignedIdentities/NAME"]]},
        "boot_diag_storage_account": {"type": "string", "maxLength": 24,
            "description": "Storage account for boot diagnostics; there are none without it."},
        "license_type": {"type": "string", "enum": ["RHEL_BYOS", "SLES_BYOS"], "x-ignore-case": true,
            "description": "Use a licence that you have."},
        "encryption_at_host": {"type": "boolean", "default": false,
            "description": "Encrypt disks and caches on the host; the subscription must have the feature."}
    })
}

pub fn network() -> Json {
    json!({
        "virtual_network_name": {"type": "string",
            "description": "An existing network for the machine, which gets no public address then. Without it the build \
                            has a network of its own."},
        "virtual_network_subnet_name": {"type": "string", "description": "The subnet; it is looked for without it."},
        "virtual_network_resource_group_name": {"type": "string",
            "description": "The group of the network; it is looked for without it."},
        "private_virtual_network_with_public_ip": {"type": "boolean", "default": false,
            "description": "Give the machine a public address in the existing network, too."},
        "allowed_inbound_ip_addresses": {"type": "array", "items": {"type": "string"},
            "description": "Addresses and CIDR blocks that may reach the machine by SSH; all without it. Not together with \
                            `virtual_network_name`.",
            "examples": [["203.0.113.7", "10.0.0.0/8"]]},
        "public_ip_sku": {"type": "string", "enum": ["Standard", "Basic"], "x-ignore-case": true, "default": "Standard",
            "description": "Kind of the public address. Not together with `virtual_network_name`."},
        "accelerated_networking": {"type": "boolean",
            "description": "Whether the machine's interface is accelerated; the service decides without it."}
    })
}

pub fn names() -> Json {
    json!({
        "temp_resource_group_name": {"type": "string", "maxLength": naming::RESOURCE_GROUP.longest,
            "description": "Name of the temporary group; it must not exist."},
        "build_resource_group_name": {"type": "string", "maxLength": naming::RESOURCE_GROUP.longest,
            "description": "An existing group to build in, instead of a temporary one. Not together with `location` and \
                            `temp_resource_group_name`."},
        "temp_compute_name": {"type": "string", "maxLength": naming::MACHINE.longest,
            "description": "Name of the machine."},
        "temp_nic_name": {"type": "string", "maxLength": naming::NIC.longest,
            "description": "Name of its network interface."},
        "temp_os_disk_name": {"type": "string", "maxLength": naming::DISK.longest,
            "description": "Name of its OS disk."},
        "custom_resource_build_prefix": {"type": "string", "maxLength": naming::PREFIX.longest,
            "description": "How the names begin that are drawn for a build."},
        "azure_tags": {"type": "object", "additionalProperties": {"type": "string"},
            "description": "Tags for everything that the build makes, the image included."},
        "azure_tag": {"type": "array", "description": "The same, a tag each.",
            "items": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string", "maxLength": 512, "description": "Name of the tag."},
                "value": {"type": "string", "maxLength": 256, "description": "Its value."}
            }}},
        "async_resourcegroup_delete": {"type": "boolean", "default": false,
            "description": "Do not wait until the temporary group is gone."},
        "polling_duration_timeout": {"type": "string", "x-duration": true,
            "default": format!("{}m", OPERATION_LIMIT.as_secs() / 60),
            "description": "How long a single operation of Azure may take."}
    })
}

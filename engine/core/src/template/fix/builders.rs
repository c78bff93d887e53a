//! The fixers of builders.

use serde_json::Value as Json;

use super::changes::{
    CLEAN_NAME, CREATE_TIME, gather, is_parallels, iso_checksum, private_ip, rename_type, replace,
    skip_compaction,
};
use super::{Fixer, remove, rename, rename_unless_set};

/// Those that run before the fixers of other blocks.
pub(super) const FIRST: &[Fixer] = &[
    Fixer {
        name: "iso-md5",
        summary: "\"iso_md5\" becomes \"iso_checksum\" with \"iso_checksum_type\"",
        run: |document| {
            document.builders(|_, b| {
                let changed =
                    b.get("iso_md5").is_some_and(Json::is_string) && rename(b, "iso_md5", "iso_checksum");
                if changed {
                    b.insert("iso_checksum_type".into(), "md5".into());
                }
                changed
            });
            Ok(())
        },
    },
    Fixer {
        name: "createtime",
        summary: "\"{{.CreateTime}}\" becomes \"{{timestamp}}\" in names of images",
        run: |document| {
            document.builders(|_, b| {
                let mut changed = false;
                for key in ["ami_name", "bundle_prefix", "snapshot_name"] {
                    changed |= b.get_mut(key).is_some_and(|v| replace(v, &CREATE_TIME, "{{timestamp}}"));
                }
                changed
            });
            Ok(())
        },
    },
    Fixer {
        name: "virtualbox-gaattach",
        summary: "\"guest_additions_attach\" of virtualbox becomes \"guest_additions_mode\"",
        run: |document| {
            document.builders(|kind, b| {
                let Some(attach) = b.get("guest_additions_attach").and_then(Json::as_bool) else {
                    return false;
                };
                if kind != "virtualbox" {
                    return false;
                }
                b.insert("guest_additions_mode".into(), if attach { "attach" } else { "upload" }.into());
                remove(b, "guest_additions_attach")
            });
            Ok(())
        },
    },
    Fixer {
        name: "virtualbox-rename",
        summary: "the builder virtualbox becomes virtualbox-iso",
        run: |document| rename_type(document, "virtualbox", "virtualbox-iso"),
    },
    Fixer {
        name: "vmware-rename",
        summary: "the builder vmware becomes vmware-iso",
        run: |document| rename_type(document, "vmware", "vmware-iso"),
    },
    Fixer {
        name: "parallels-headless",
        summary: "\"headless\" of parallels builders goes",
        run: |document| {
            document.builders(|kind, b| is_parallels(kind) && remove(b, "headless"));
            Ok(())
        },
    },
    Fixer {
        name: "parallels-deprecations",
        summary: "\"parallels_tools_host_path\" goes, \"guest_os_distribution\" becomes \"guest_os_type\"",
        run: |document| {
            document.builders(|kind, b| {
                is_parallels(kind)
                    && (remove(b, "parallels_tools_host_path")
                        | rename(b, "guest_os_distribution", "guest_os_type"))
            });
            Ok(())
        },
    },
    Fixer {
        name: "sshkeypath",
        summary: "\"ssh_key_path\" becomes \"ssh_private_key_file\"",
        run: |document| {
            document.builders(|_, b| {
                b.get("ssh_key_path").is_some_and(Json::is_string)
                    && rename_unless_set(b, "ssh_key_path", "ssh_private_key_file")
            });
            Ok(())
        },
    },
    Fixer {
        name: "sshdisableagent",
        summary: "\"ssh_disable_agent\" becomes \"ssh_disable_agent_forwarding\"",
        run: |document| {
            document.builders(|_, b| {
                b.get("ssh_disable_agent").is_some_and(Json::is_boolean)
                    && rename_unless_set(b, "ssh_disable_agent", "ssh_disable_agent_forwarding")
            });
            Ok(())
        },
    },
    Fixer {
        name: "scaleway-access-key",
        summary: "\"access_key\" of scaleway becomes \"organization_id\"",
        run: |document| {
            document.builders(|kind, b| {
                kind == "scaleway"
                    && b.get("access_key").is_some_and(Json::is_string)
                    && rename_unless_set(b, "access_key", "organization_id")
            });
            Ok(())
        },
    },
    Fixer {
        name: "amazon-shutdown_behavior",
        summary: "\"shutdown_behaviour\" of amazon builders becomes \"shutdown_behavior\"",
        run: |document| {
            document.builders_of("amazon-", |b| rename(b, "shutdown_behaviour", "shutdown_behavior"));
            Ok(())
        },
    },
    Fixer {
        name: "amazon-enhanced-networking",
        summary: "\"enhanced_networking\" of amazon builders becomes \"ena_support\"",
        run: |document| {
            document.builders_of("amazon-", |b| {
                b.get("enhanced_networking").is_some_and(Json::is_boolean)
                    && rename(b, "enhanced_networking", "ena_support")
            });
            Ok(())
        },
    },
    Fixer {
        name: "amazon-private-ip",
        summary: "\"ssh_private_ip\" of amazon builders becomes \"ssh_interface\"",
        run: private_ip,
    },
    Fixer {
        name: "amazon-temp-sec-cidrs",
        summary: "\"temporary_security_group_source_cidr\" of amazon builders becomes a list",
        run: |document| {
            document.builders_of("amazon-", |b| {
                const OLD: &str = "temporary_security_group_source_cidr";
                let Some(cidr) = b.get(OLD).filter(|v| v.is_string()).cloned() else { return false };
                b.insert(format!("{OLD}s"), Json::Array(vec![cidr]));
                remove(b, OLD)
            });
            Ok(())
        },
    },
    Fixer {
        name: "vmware-compaction",
        summary: "\"skip_compaction\" for vmware-iso on ESXi, whose thick disks can't be compacted",
        run: |document| {
            document.builders(|kind, b| kind == "vmware-iso" && skip_compaction(b));
            Ok(())
        },
    },
    Fixer {
        name: "hyperv-deprecations",
        summary: "\"vhd_temp_path\" of hyperv-iso goes",
        run: |document| {
            document.builders(|kind, b| kind == "hyperv-iso" && remove(b, "vhd_temp_path"));
            Ok(())
        },
    },
    Fixer {
        name: "hyperv-vmxc-typo",
        summary: "\"clone_from_vmxc_path\" of hyperv-vmcx becomes \"clone_from_vmcx_path\"",
        run: |document| {
            document.builders(|kind, b| {
                kind == "hyperv-vmcx" && rename(b, "clone_from_vmxc_path", "clone_from_vmcx_path")
            });
            Ok(())
        },
    },
    Fixer {
        name: "hyperv-cpu-and-ram",
        summary: "\"cpu\" of hyperv builders becomes \"cpus\", \"ram_size\" becomes \"memory\"",
        run: |document| {
            document.builders(|kind, b| {
                matches!(kind, "hyperv-iso" | "hyperv-vmcx")
                    && (rename(b, "cpu", "cpus") | rename(b, "ram_size", "memory"))
            });
            Ok(())
        },
    },
    Fixer {
        name: "clean-image-name",
        summary: "the functions clean_image_name and clean_ami_name become clean_resource_name",
        run: |document| {
            document.builders(|_, b| {
                let mut changed = false;
                for value in b.values_mut() {
                    match value {
                        Json::Object(inner) => {
                            inner
                                .values_mut()
                                .for_each(|v| changed |= replace(v, &CLEAN_NAME, "clean_resource_name"));
                        }
                        value => changed |= replace(value, &CLEAN_NAME, "clean_resource_name"),
                    }
                }
                changed
            });
            Ok(())
        },
    },
    Fixer {
        name: "spot-price-auto-product",
        summary: "\"spot_price_auto_product\" of amazon builders goes",
        run: |document| {
            document.builders(|kind, b| {
                matches!(kind, "amazon-ebs" | "amazon-ebssurrogate" | "amazon-ebsvolume" | "amazon-instance")
                    && remove(b, "spot_price_auto_product")
            });
            Ok(())
        },
    },
    Fixer {
        name: "qemu-disk-size",
        summary: "\"disk_size\" of qemu gets its unit",
        run: |document| {
            document.builders(|kind, b| {
                let Some(Json::Number(size)) = b.get("disk_size").filter(|_| kind == "qemu") else {
                    return false;
                };
                let megabytes = size.as_f64().unwrap_or_default().trunc();
                b.insert("disk_size".into(), format!("{megabytes}M").into());
                true
            });
            Ok(())
        },
    },
];

/// Those that run after the fixers of other blocks.
pub(super) const LAST: &[Fixer] = &[
    Fixer {
        name: "comm-config",
        summary: "ports of virtualbox builders lose their \"ssh_\"",
        run: |document| {
            document.builders_of("virtualbox", |b| {
                let nat = b.contains_key("skip_nat_mapping")
                    || b.get("ssh_skip_nat_mapping").is_some_and(Json::is_boolean);
                rename_unless_set(b, "ssh_host_port_min", "host_port_min")
                    | rename_unless_set(b, "ssh_host_port_max", "host_port_max")
                    | (nat && rename_unless_set(b, "ssh_skip_nat_mapping", "skip_nat_mapping"))
            });
            Ok(())
        },
    },
    Fixer {
        name: "ssh-wait-timeout",
        summary: "\"ssh_wait_timeout\" becomes \"ssh_timeout\"",
        run: |document| {
            document.builders(|_, b| {
                let known =
                    b.contains_key("ssh_timeout") || b.get("ssh_wait_timeout").is_some_and(Json::is_string);
                known && rename_unless_set(b, "ssh_wait_timeout", "ssh_timeout")
            });
            Ok(())
        },
    },
    Fixer {
        name: "vsphere-iso-net-disk",
        summary: "network and disk of vsphere-iso become the first of \"network_adapters\" and \"storage\"",
        run: |document| {
            document.builders(|kind, b| {
                kind == "vsphere-iso"
                    && (gather(
                        b,
                        "network_adapters",
                        &[
                            ("network", "network"),
                            ("networkCard", "network_card"),
                            ("network_card", "network_card"),
                        ],
                    ) | gather(
                        b,
                        "storage",
                        &[
                            ("disk_size", "disk_size"),
                            ("disk_thin_provisioned", "disk_thin_provisioned"),
                            ("disk_eagerly_scrub", "disk_eagerly_scrub"),
                        ],
                    ))
            });
            Ok(())
        },
    },
    Fixer {
        name: "iso-checksum-type-and-url",
        summary: "\"iso_checksum_type\" and \"iso_checksum_url\" become a part of \"iso_checksum\"",
        run: |document| {
            document.builders(|_, b| iso_checksum(b));
            Ok(())
        },
    },
    Fixer {
        name: "qemu-host-port",
        summary: "\"ssh_host_port_min\" and \"ssh_host_port_max\" of qemu lose their \"ssh_\"",
        run: |document| {
            document.builders(|kind, b| {
                kind == "qemu"
                    && (rename(b, "ssh_host_port_min", "host_port_min")
                        | rename(b, "ssh_host_port_max", "host_port_max"))
            });
            Ok(())
        },
    },
    Fixer {
        name: "azure-exclude_from_latest",
        summary: "\"exlude_from_latest\" of azure-chroot becomes \"exclude_from_latest\"",
        run: |document| {
            document.builders_of("azure-chroot", |b| {
                let destination = b.get_mut("shared_image_destination").and_then(Json::as_object_mut);
                destination.is_some_and(|d| rename(d, "exlude_from_latest", "exclude_from_latest"))
            });
            Ok(())
        },
    },
    Fixer {
        name: "proxmox-type",
        summary: "the builder proxmox becomes proxmox-iso",
        run: |document| rename_type(document, "proxmox", "proxmox-iso"),
    },
];

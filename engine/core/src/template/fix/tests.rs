//! Each fixer on a template that needs it, and on values that it has to leave alone.

use serde_json::{Value as Json, json};

use super::*;

fn run(template: &Json) -> (Json, Vec<&'static str>) {
    let (fixed, found) = fix(&SourceFile::new("t.json", template.to_string()));
    assert!(found.is_empty(), "{found:?}");
    let fixed = fixed.expect("nothing is wrong");
    let applied = fixed.applied.iter().map(|f| f.name).collect();
    (serde_json::from_str(&fixed.text).expect("the result is JSON"), applied)
}

#[test]
fn every_fixer_changes_what_it_is_for() {
    let builder = |before: Json, after: Json| (json!({"builders": [before]}), json!({"builders": [after]}));
    let step = |key: &str, before: Json, after: Json| (json!({key: [before]}), json!({key: [after]}));
    let cases = [
        (
            "iso-md5",
            builder(json!({"type": "x", "iso_md5": "abc"}), json!({"type": "x", "iso_checksum": "md5:abc"})),
        ),
        (
            "createtime",
            builder(
                json!({"type": "x", "ami_name": "a {{ .CreateTime }}", "other": "{{.CreateTime}}"}),
                json!({"type": "x", "ami_name": "a {{timestamp}}", "other": "{{.CreateTime}}"}),
            ),
        ),
        (
            "virtualbox-gaattach",
            builder(
                json!({"type": "virtualbox", "guest_additions_attach": false}),
                json!({"type": "virtualbox-iso", "guest_additions_mode": "upload"}),
            ),
        ),
        (
            "virtualbox-rename",
            (
                json!({"builders": [{"type": "virtualbox"}],
                    "provisioners": [{"type": "shell", "only": ["virtualbox"], "override": {"virtualbox": {"a": 1}}}]}),
                json!({"builders": [{"type": "virtualbox-iso"}],
                    "provisioners": [{"type": "shell", "only": ["virtualbox-iso"], "override": {"virtualbox-iso": {"a": 1}}}]}),
            ),
        ),
        (
            "vmware-rename",
            (
                json!({"builders": [{"type": "vmware", "name": "vmware"}], "provisioners": [{"type": "shell", "only": ["vmware"]}]}),
                json!({"builders": [{"type": "vmware-iso", "name": "vmware"}], "provisioners": [{"type": "shell", "only": ["vmware"]}]}),
            ),
        ),
        (
            "parallels-headless",
            builder(json!({"type": "parallels-iso", "headless": true}), json!({"type": "parallels-iso"})),
        ),
        (
            "parallels-deprecations",
            builder(
                json!({"type": "parallels-pvm", "parallels_tools_host_path": "p", "guest_os_distribution": "d"}),
                json!({"type": "parallels-pvm", "guest_os_type": "d"}),
            ),
        ),
        (
            "sshkeypath",
            builder(
                json!({"type": "x", "ssh_key_path": "k"}),
                json!({"type": "x", "ssh_private_key_file": "k"}),
            ),
        ),
        (
            "sshdisableagent",
            builder(
                json!({"type": "x", "ssh_disable_agent": true, "ssh_disable_agent_forwarding": false}),
                json!({"type": "x", "ssh_disable_agent_forwarding": false}),
            ),
        ),
        (
            "scaleway-access-key",
            builder(
                json!({"type": "scaleway", "access_key": "k"}),
                json!({"type": "scaleway", "organization_id": "k"}),
            ),
        ),
        (
            "manifest-filename",
            step(
                "post-processors",
                json!([{"type": "manifest", "filename": "f"}]),
                json!([{"type": "manifest", "output": "f"}]),
            ),
        ),
        (
            "amazon-shutdown_behavior",
            builder(
                json!({"type": "amazon-ebs", "shutdown_behaviour": "stop"}),
                json!({"type": "amazon-ebs", "shutdown_behavior": "stop"}),
            ),
        ),
        (
            "amazon-enhanced-networking",
            builder(
                json!({"type": "amazon-ebs", "enhanced_networking": false}),
                json!({"type": "amazon-ebs", "ena_support": false}),
            ),
        ),
        (
            "amazon-private-ip",
            builder(
                json!({"type": "amazon-ebs", "ssh_private_ip": "t"}),
                json!({"type": "amazon-ebs", "ssh_interface": "private_ip"}),
            ),
        ),
        (
            "amazon-temp-sec-cidrs",
            builder(
                json!({"type": "amazon-ebs", "temporary_security_group_source_cidr": "0.0.0.0/0"}),
                json!({"type": "amazon-ebs", "temporary_security_group_source_cidrs": ["0.0.0.0/0"]}),
            ),
        ),
        ("docker-email", builder(json!({"type": "docker", "login_email": "e"}), json!({"type": "docker"}))),
        (
            "docker-tag-tags",
            step(
                "post-processors",
                json!({"type": "docker-tag", "tag": "a, b", "tags": "b"}),
                json!({"type": "docker-tag", "tags": ["a", "b"]}),
            ),
        ),
        (
            "powershell-escapes",
            step(
                "provisioners",
                json!({"type": "powershell", "elevated_password": "a`$b``c", "environment_vars": ["A=`\"`'`n"]}),
                json!({"type": "powershell", "elevated_password": "a$b`c", "environment_vars": ["A=\"'`n"]}),
            ),
        ),
        (
            "vmware-compaction",
            builder(
                json!({"type": "vmware-iso", "remote_type": "esx5"}),
                json!({"type": "vmware-iso", "remote_type": "esx5", "disk_type_id": "zeroedthick", "skip_compaction": true}),
            ),
        ),
        (
            "hyperv-deprecations",
            builder(json!({"type": "hyperv-iso", "vhd_temp_path": "p"}), json!({"type": "hyperv-iso"})),
        ),
        (
            "hyperv-vmxc-typo",
            builder(
                json!({"type": "hyperv-vmcx", "clone_from_vmxc_path": "p"}),
                json!({"type": "hyperv-vmcx", "clone_from_vmcx_path": "p"}),
            ),
        ),
        (
            "hyperv-cpu-and-ram",
            builder(
                json!({"type": "hyperv-iso", "cpu": 2, "ram_size": 1024}),
                json!({"type": "hyperv-iso", "cpus": 2, "memory": 1024}),
            ),
        ),
        (
            "clean-image-name",
            builder(
                json!({"type": "x", "n": "{{user `a` | clean_ami_name}}", "tags": {"t": "clean_image_name"}}),
                json!({"type": "x", "n": "{{user `a` | clean_resource_name}}", "tags": {"t": "clean_resource_name"}}),
            ),
        ),
        (
            "spot-price-auto-product",
            builder(
                json!({"type": "amazon-ebs", "spot_price_auto_product": "p"}),
                json!({"type": "amazon-ebs"}),
            ),
        ),
        (
            "qemu-disk-size",
            builder(
                json!({"type": "qemu", "disk_size": 40960}),
                json!({"type": "qemu", "disk_size": "40960M"}),
            ),
        ),
        (
            "galaxy-command",
            step(
                "provisioners",
                json!({"type": "ansible-local", "galaxycommand": "g"}),
                json!({"type": "ansible-local", "galaxy_command": "g"}),
            ),
        ),
        (
            "comm-config",
            builder(
                json!({"type": "virtualbox-ovf", "ssh_host_port_min": 1, "host_port_max": 3, "ssh_host_port_max": 2, "ssh_skip_nat_mapping": true}),
                json!({"type": "virtualbox-ovf", "host_port_min": 1, "host_port_max": 3, "skip_nat_mapping": true}),
            ),
        ),
        (
            "ssh-wait-timeout",
            builder(
                json!({"type": "x", "ssh_wait_timeout": "5m"}),
                json!({"type": "x", "ssh_timeout": "5m"}),
            ),
        ),
        (
            "vsphere-iso-net-disk",
            builder(
                json!({"type": "vsphere-iso", "network": "n", "networkCard": "c", "network_adapters": [{"network": "o"}], "disk_size": 1}),
                json!({"type": "vsphere-iso", "network_adapters": [{"network": "n", "network_card": "c"}, {"network": "o"}],
                    "storage": [{"disk_size": 1}]}),
            ),
        ),
        (
            "iso-checksum-type-and-url",
            builder(
                json!({"type": "x", "iso_checksum_type": "sha256", "iso_checksum": "ab"}),
                json!({"type": "x", "iso_checksum": "sha256:ab"}),
            ),
        ),
        (
            "iso-checksum-type-and-url",
            builder(
                json!({"type": "x", "iso_checksum_type": "none"}),
                json!({"type": "x", "iso_checksum": "none"}),
            ),
        ),
        (
            "qemu-host-port",
            builder(
                json!({"type": "qemu", "ssh_host_port_min": 1}),
                json!({"type": "qemu", "host_port_min": 1}),
            ),
        ),
        (
            "azure-exclude_from_latest",
            builder(
                json!({"type": "azure-chroot", "shared_image_destination": {"exlude_from_latest": true}}),
                json!({"type": "azure-chroot", "shared_image_destination": {"exclude_from_latest": true}}),
            ),
        ),
        (
            "pp-vagrant-override",
            step(
                "post-processors",
                json!({"type": "vagrant", "aws": {"a": 1}, "virtualbox": {"b": 2}}),
                json!({"type": "vagrant", "override": {"aws": {"a": 1}, "virtualbox": {"b": 2}}}),
            ),
        ),
        ("proxmox-type", builder(json!({"type": "proxmox"}), json!({"type": "proxmox-iso"}))),
    ];
    let mut tested: Vec<&str> = Vec::new();
    for (name, (before, after)) in &cases {
        let (got, applied) = run(before);
        assert_eq!(got, *after, "{name}");
        assert!(applied.contains(name), "{name} is not told: {applied:?}");
        let (again, applied) = run(&got);
        assert_eq!((again, applied), (got, Vec::new()), "{name} runs twice");
        tested.push(name);
    }
    let untested: Vec<&str> = fixers().map(|f| f.name).filter(|name| !tested.contains(name)).collect();
    assert!(untested.is_empty(), "no case for {untested:?}");
}

#[test]
fn what_no_fixer_knows_stays() {
    let template = json!({
        "_comment": "é < & > \u{2028}", "builders": [
            {"type": "qemu", "disk_size": "1G", "x": [1.5, null, {"iso_md5": 1}]},
            {"type": "azure-arm", "headless": true, "ssh_host_port_min": 1, "access_key": "k", "cpu": 1, "filename": "f"},
            {"type": "amazon-ebs", "ssh_private_ip": true, "ssh_interface": "session_manager", "enhanced_networking": "?"},
            {"type": "vmware-iso", "remote_type": "esx5", "disk_type_id": "thin"}, "not a builder"],
        "provisioners": [{"type": "shell", "galaxycommand": "g", "elevated_user": "`$"}],
        "post-processors": ["compress", ["docker-tag", {"type": "docker-tag"}]],
    });
    assert_eq!(run(&template), (template.clone(), Vec::new()));
}

#[test]
fn the_text_is_sorted_and_indented() {
    let file =
        SourceFile::new("t.json", r#"{"b": {"d": 1, "c": "<&>"}, "a": [], "builders": {"type": "proxmox"}}"#);
    let text = fix(&file).0.expect("nothing is wrong").text;
    let expected = "{\n  \"a\": [],\n  \"b\": {\n    \"c\": \"<&>\",\n    \"d\": 1\n  },\n  \"builders\": {\n    \"type\": \"proxmox-iso\"\n  }\n}";
    assert_eq!(text, expected);
}

#[test]
fn what_cannot_be_fixed_is_told_at_its_place() {
    let cases = [
        ("{\"builders\": [}", "json/syntax", (1, 15)),
        ("[]", "template/not-an-object", (1, 1)),
        (
            "{\"builders\": [{},\n{\"type\": \"amazon-ebs\", \"ssh_private_ip\": 1}]}",
            "fix/untranslatable",
            (2, 42),
        ),
    ];
    for (text, code, place) in cases {
        let (fixed, found) = fix(&SourceFile::new("t.json", text));
        assert!(fixed.is_none(), "{text}");
        let first = found.iter().next().expect("a finding");
        let start = first.span.as_ref().expect("a place").start();
        assert_eq!((first.code.as_str(), (start.line, start.column)), (code, place), "{text}");
    }
}

#[test]
fn a_fixed_template_is_checked_as_a_whole() {
    let codes = |text: &str| -> Vec<String> {
        validate(&SourceFile::new("t.json", text)).iter().map(|d| d.code.clone()).collect()
    };
    assert!(codes(r#"{"builders": [{"type": "null"}]}"#).is_empty());
    assert_eq!(codes("{}"), ["template/no-builders"]);
    assert_eq!(codes(r#"{"bilders": [{"type": "null"}]}"#), ["template/unknown-key"]);
    assert_eq!(
        codes(r#"{"builders": [{"type": "null"}], "provisioners": [{"type": "shell", "only": ["x"]}]}"#),
        ["template/unknown-build"]
    );
}

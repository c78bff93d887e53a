//! What the mutations start from: small texts written here, the examples of this repository, and the real templates of
//! `../shared/corpus` where they lie beside the checkout.

use std::path::{Path, PathBuf};

/// Files larger than this make a run slow and find no more.
const MAX_SEED: u64 = 12 << 10;

const JSON: &[&str] = &[
    "",
    "{}",
    r#"{"variables": {"a": "1", "b": "{{user `a`}} {{env `HERE`}}", "pw": "canary-8d1f6b", "n": null}, "sensitive-variables": ["pw"],
 "builders": [{"type": "null", "name": "{{user `a`}}", "communicator": "none", "password": "{{user `pw`}}{{upper (user `pw`)}}"}],
 "provisioners": [{"type": "shell", "inline": ["echo {{build `ID`}} {{isotime}}"], "only": ["null"], "pause_before": "5s", "timeout": "1m",
   "max_retries": "{{user `a`}}", "execute_command": "{{.Vars}} sh {{ .Path }}", "override": {"null": {"inline": ["x"]}}}, {"type": "file", "except": ["null"]}],
 "error-cleanup-provisioner": {"type": "shell-local", "inline": "true"},
 "post-processors": ["compress", ["manifest", {"type": "shell-local", "name": "p", "keep_input_artifact": true}], {"type": "checksum"}],
 "min_packer_version": "1.7.0", "description": "d", "_comment": "c"}"#,
    r#"{"builders": [{"type": "amazon-ebs", "source_ami_filter": {"filters": {"name": "x"}, "owners": ["1"]}, "ami_name": "a {{timestamp}} {{clean_resource_name `x`}}",
  "ssh_keypair_pattern": "x", "iso_md5": "1", "sriov_support": true, "ebs_optimized": "true"}], "provisioners": [{"type": "ansible", "winrm_use_http": "x"}, {"type":"powershell"}]}"#,
    r#"{"variables": {"a": "{{user `b`}}", "b": "{{user `a`}}", "s": "{{aws_secretsmanager `x` `k`}}{{consul_key `k`}}{{vault `a` `b`}}"}, "builders": [{"type": "file", "target": "x", "content": "{{template_dir}} {{pwd}} {{uuid}}"}]}"#,
    r#"{"a": "x", "pw": "canary-8d1f6b", "n": 1.50, "l": ["a", "b"], "b": true, "o": {"k": null}}"#,
];

const HCL_JSON: &[&str] = &[
    r#"{"variable": {"v": {"type": "list(string)", "default": ["a"], "sensitive": false}, "pw": {"default": "canary-8d1f6b", "sensitive": true}},
 "locals": {"a": "${var.v[0]}-x", "b": ["%{ for x in var.v }${x}%{ endfor }"]}, "source": {"null": {"n": [{"communicator": "none", "x": "${var.pw}"}]}},
 "build": [{"sources": ["source.null.n"], "provisioner": [{"shell": {"inline": ["echo ${build.ID}"]}}, {"shell": {"only": ["null.n"]}}], "post-processors": [{"post-processor": {"manifest": {}}}]}],
 "packer": {"required_plugins": {"azure": {"version": ">= 1.0", "source": "github.com/hashicorp/azure"}}}}"#,
];

const HCL: &[&str] = &[
    r#"packer {
  required_version = ">= 1.7.0"
  required_plugins {
    azure = { version = "~> 2", source = "github.com/hashicorp/azure" }
  }
}
variable "v" {
  type    = list(object({ a = string, b = optional(number, 1) }))
  default = [{ a = "x" }]
  validation {
    condition     = length(var.v) > 0
    error_message = "It needs one."
  }
}
variable "pw" {
  sensitive = true
  default   = "canary-8d1f6b"
}
variables {
  w = "${env("HERE")}"
}
locals {
  a = [for i, x in var.v : "${i}=${x.a}" if x.b > 0]
  b = { for x in var.v : x.a => x.b... }
  c = local.a[0] == "" ? null : upper(var.pw)
  d = <<-EOF
    a = 1 ${local.c}
      %{ if true ~}
    b %{ else }c%{ endif }
  EOF
}
local "e" {
  expression = var.v[*].a
  sensitive  = true
}
data "null" "d" { input = "x ${local.a[0]}" }
source "null" "n" {
  communicator = "none"
  tags         = merge({ k = data.null.d.output }, { l = local.d })
  dynamic "disk" {
    for_each = var.v
    iterator = it
    content {
      size = it.value.b
    }
  }
}
build {
  name    = "b"
  sources = ["source.null.n"]
  source "null.n" {
    name = "m"
    x    = 1
  }
  provisioner "shell" {
    inline       = ["echo ${build.ID} ${source.name} {{ .Vars }} {{build `Host`}}"]
    only         = ["null.n"]
    pause_before = "5s"
    max_retries  = 2
    override     = { n = { inline = ["x"] } }
  }
  error-cleanup-provisioner "shell-local" { inline = ["x"] }
  post-processors {
    post-processor "manifest" {}
    post-processor "compress" { keep_input_artifact = true }
  }
}
"#,
    "a=1\nlong_name = [ 1,2 , # c\n3]\nb {\nc= \"x\"\n}\nd = <<E\n x\nE\n/* c */ e = {a=1,\"b\":2}\n",
    "a = \"x\"\nn = -1.5e3\nl = [{ k = \"a\" }]\nm = { a = 1 }\npw = \"canary-8d1f6b\"\n",
    "locals {\n  a = local.b\n  b = [local.c]\n  c = local.a\n  d = local.missing\n}\n",
];

const EXPRESSIONS: &[&str] = &[
    "\"x ${var.s} ${upper(var.pw)} $${y} %{ if local.n > 1 }a%{ else }b%{ endif }\"",
    "[for k, v in var.m : \"${k}\" => v if v != null]",
    "{ for i, x in var.l : x => i... }",
    "(1 + 2 * -3 / 4 % 5 >= 6 && !false || var.later[0] == \"a\") ? [1] : null",
    "var.m.v[0] ? var.l.*.x : var.l[*]",
    "format(\"%05.2f %s %v %q\", 1.5, var.s, var.l, var.pw)",
    "jsonencode(jsondecode(\"[1, {\\\"a\\\": null}]\"))",
    "yamldecode(\"a: &x [1]\\nb: *x\\n\")",
    "regex_replace(var.s, \"(.)e\", \"$1\")",
    "formatdate(\"YYYY-MM-DD\", timeadd(\"2020-01-01T00:00:00Z\", \"1h\"))",
    "setproduct(var.l, range(0, 10, 3))",
    "templatefile(\"here.txt\", { x = 1 })",
    "cidrsubnet(\"10.0.0.0/8\", 8, 2)",
    "object({ a = list(string), b = optional(map(any), {}) })",
    "try(var.m.x.y, can(var.l[9]), \"z\")",
    "substr(\"h\u{e9}llo\", -3, 2)",
];

const TEXTS: &[&str] = &[
    "plain {{user `a`}} {{user `pw` | upper}} {{env `HERE`}} {{isotime \"2006-01-02\"}} {{build `ID`}}",
    "{{if eq (user `a`) \"x\"}}a{{else if and true .Vars}}b{{else}}{{template \"t\" 1}}{{end}}{{define \"t\"}}{{.}}{{end}}",
    "{{range $i, $x := split `a,b` `,`}}{{$i}}={{$x}}{{if eq $i 1}}{{break}}{{end}}{{else}}none{{end}}",
    "{{with $x := printf \"%05d|%-8q|%v|%x\" 1 `s` 1.5 `h`}}{{$x | len}}{{end}} {{- /* c */ -}} z",
    "{{index (split `a,b` `,`) 1}} {{slice `abc` 1 2}} {{replace `a` `b` 1 `aaa`}} {{strftime `%Y`}} {{`{{`}}",
    "{{html `<a>`}}{{js `'`}}{{urlquery ` `}}{{not true}}{{lt 1 2.5}}{{print nil .X $ 'a' 0x1F 1e3}}",
];

/// The texts that a target starts from.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let (written, extensions): (Vec<&str>, &[&str]) = match target {
        "json" | "json_variables" | "fix" | "upgrade" => (JSON.to_vec(), &["json"]),
        "hcl" | "format" => (HCL.to_vec(), &["pkr.hcl"]),
        "hcl_variables" => ([HCL, &JSON[5..]].concat(), &["pkrvars.hcl"]),
        "hcl_json" => (HCL_JSON.to_vec(), &["pkr.json"]),
        "expression" => (EXPRESSIONS.to_vec(), &[]),
        _ => (TEXTS.to_vec(), &[]),
    };
    let mut seeds: Vec<Vec<u8>> = written.iter().map(|text| text.as_bytes().to_vec()).collect();
    for folder in folders() {
        let mut files = Vec::new();
        files_below(&folder, extensions, &mut files);
        files.sort();
        seeds.extend(files.iter().filter_map(|file| std::fs::read(file).ok()));
    }
    seeds
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn corpus() -> PathBuf {
    root().join("../shared/corpus/templates")
}

/// Whether the real templates are there.
pub fn has_corpus() -> bool {
    corpus().is_dir()
}

fn folders() -> Vec<PathBuf> {
    vec![root().join("examples"), corpus()]
}

fn files_below(folder: &Path, extensions: &[&str], out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let fits = |ext: &&str| name.to_string_lossy().ends_with(&format!(".{ext}"));
        if path.is_dir() {
            files_below(&path, extensions, out);
        } else if extensions.iter().any(fits) && entry.metadata().is_ok_and(|m| m.len() <= MAX_SEED) {
            out.push(path);
        }
    }
}

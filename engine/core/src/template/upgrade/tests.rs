//! Texts, names and blocks one by one; whole templates are compared with Packer's results in the corpus tests.

use crate::source::SourceFile;
use crate::template::{parse, upgrade};

use super::Upgrade;

fn run(text: &str) -> Upgrade {
    let (template, found) = parse(&SourceFile::new("t.json", text));
    assert!(!found.has_errors(), "{found:?}");
    upgrade(&template.expect("a template"), false)
}

/// The value of an argument in the result.
fn argument<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find(|l| l.trim_start().split(' ').next() == Some(name));
    line.and_then(|l| l.split_once(" = ")).map_or("(none)", |(_, value)| value)
}

#[test]
fn texts_are_translated_where_they_stand() {
    // JSON text, in a source, in a provisioner, in a local.
    let cases = [
        ("plain", r#""plain""#, r#""plain""#, ""),
        (
            "{{user `x`}}-{{ user \\\"x\\\" }}",
            r#""${var.x}-${var.x}""#,
            r#""${var.x}-${var.x}""#,
            r#""${var.x}-${var.x}""#,
        ),
        ("{{timestamp}}", r#""${local.timestamp}""#, r#""${local.timestamp}""#, r#""${local.timestamp}""#),
        ("{{isotime}}", r#""${timestamp()}""#, r#""${timestamp()}""#, r#""${timestamp()}""#),
        (
            "{{isotime `2006`}}{{strftime `%Y`}}",
            r#""${legacy_isotime("2006")}${legacy_strftime("%Y")}""#,
            r#""${legacy_isotime("2006")}${legacy_strftime("%Y")}""#,
            r#""${legacy_isotime("2006")}${legacy_strftime("%Y")}""#,
        ),
        (
            "{{template_dir}}{{pwd}}{{uuid}}{{packer_version}}",
            r#""${path.root}${path.cwd}${uuidv4()}${packer.version}""#,
            r#""${path.root}${path.cwd}${uuidv4()}${packer.version}""#,
            r#""${path.root}${path.cwd}${uuidv4()}${packer.version}""#,
        ),
        ("{{build_name}}", r#""{{ build_name }}""#, r#""${source.name}""#, r#""{{ build_name }}""#),
        ("{{build_type}}", r#""{{ build_type }}""#, r#""${source.type}""#, r#""{{ build_type }}""#),
        ("{{build `Host`}}", r#""{{ build `Host` }}""#, r#""${build.Host}""#, r#""{{ build `Host` }}""#),
        ("{{build `A+B`}}", r#""{{ build `A+B` }}""#, r#""{{ build `A+B` }}""#, r#""{{ build `A+B` }}""#),
        (
            "{{.Vars}} {{.A.B}} {{.}}",
            r#""{{ .Vars }} {{ .A.B }} {{ . }}""#,
            r#""{{ .Vars }} {{ .A.B }} {{ . }}""#,
            "",
        ),
        (
            "{{user `x` | upper}}",
            r#""{{ upper `${var.x}` }}""#,
            r#""{{ upper `${var.x}` }}""#,
            r#""${upper(var.x)}""#,
        ),
        (
            "{{split (user `x`) \\\"-\\\" 0}}",
            r#""{{ split `${var.x}` `-` 0 }}""#,
            r#""{{ split `${var.x}` `-` 0 }}""#,
            r#""${split("-", var.x)[0]}""#,
        ),
        (
            "{{user `x` | replace `a` `b` 1 | replace_all `c` `d`}}",
            r#""{{ replace_all `c` `d` (replace `a` `b` 1 `${var.x}`) }}""#,
            r#""{{ replace_all `c` `d` (replace `a` `b` 1 `${var.x}`) }}""#,
            r#""{{ replace_all `c` `d` (replace `a` `b` 1 `${var.x}`) }}""#,
        ),
        (
            "{{replace_all `a` `b` (user `x`)}}",
            r#""{{ replace_all `a` `b` `${var.x}` }}""#,
            r#""{{ replace_all `a` `b` `${var.x}` }}""#,
            r#""${replace(var.x, "a", "b")}""#,
        ),
        (
            "{{printf `%d` 3}}",
            r#""{{ printf `%d` 3 }}""#,
            r#""{{ printf `%d` 3 }}""#,
            r#""{{ printf `%d` 3 }}""#,
        ),
        (
            "{{if .A}}a{{else}}b{{end}}",
            r#""{{if .A}}a{{else}}b{{end}}""#,
            r#""{{if .A}}a{{else}}b{{end}}""#,
            "",
        ),
        ("{{`{{`}}", r#""{{ `{{` }}""#, r#""{{ `{{` }}""#, ""),
        ("{{ upper \\\"`\\\" }}", r#""{{ upper \"`\" }}""#, r#""{{ upper \"`\" }}""#, r#""${upper("`")}""#),
        (
            "{{vault `p` `k`}}",
            r#""${vault("p", "k")}""#,
            r#""${vault("p", "k")}""#,
            r#""${vault("p", "k")}""#,
        ),
        ("${a} %{b} $c", r#""$${a} %%{b} $c""#, r#""$${a} %%{b} $c""#, ""),
        (
            "$${a} ${{user `x`}} $$",
            r#""${"$"}$${a} ${"$"}${var.x} $$""#,
            r#""${"$"}$${a} ${"$"}${var.x} $$""#,
            r#""${"$"}$${a} ${"$"}${var.x} $$""#,
        ),
        ("a\\n\\t\\\"\\\\\\u0001\\u00a0", r#""a\n\t\"\\\u0001\u00a0""#, r#""a\n\t\"\\\u0001\u00a0""#, ""),
    ];
    for (json, source, step, local) in cases {
        let result = run(&format!(
            r#"{{"variables": {{"x": "", "y": "{json}"}}, "builders": [{{"type": "null", "in_source": "{json}"}}],
                "provisioners": [{{"type": "shell", "in_step": "{json}"}}]}}"#
        ));
        assert_eq!(argument(&result.text, "in_source"), source, "{json}");
        assert_eq!(argument(&result.text, "in_step"), step, "{json}");
        assert_eq!(argument(&result.text, "y"), if local.is_empty() { "(none)" } else { local }, "{json}");
    }
}

#[test]
fn what_has_no_form_in_hcl_is_told_at_its_place_and_in_a_comment() {
    let cases = [
        ("{{env `A`}}", "upgrade/left-to-you"),
        ("{{user .A}}", "upgrade/left-to-you"),
        ("{{if .A}}{{user `x`}}{{end}}", "upgrade/left-to-you"),
        ("{{user `x`", "upgrade/left-to-you"),
        ("{{lower `A`}}", "upgrade/kept-call"),
    ];
    for (json, code) in cases {
        let text = format!("{{\"builders\": [{{\"type\": \"null\",\n\"a\": \"{json}\"}}]}}");
        let result = run(&text);
        let found: Vec<_> = result.findings.iter().collect();
        assert_eq!(found.len(), 1, "{json}: {found:?}");
        assert_eq!(found[0].code, code, "{json}");
        assert_eq!(found[0].span.as_ref().expect("a place").start().line, 2, "{json}");
        let source = result.text.lines().position(|l| l.starts_with("source ")).expect("a source");
        assert!(result.text.lines().nth(source - 1).is_some_and(|l| l.starts_with("# ")), "{}", result.text);
    }
    let result = run("{\"builders\": [{\"type\": \"a$${b\", \"name\": \"n\"}]}");
    assert!(result.text.contains("\nsource \"a__{b\" \"n\" {"), "{}", result.text);
    assert!(result.findings.iter().any(|f| f.code == "upgrade/left-to-you"), "{:?}", result.findings);
}

#[test]
fn variables_become_what_their_defaults_allow() {
    let result = run(
        r#"{"_comment": "two\nlines", "variables": {"a.b": "1", "needed": null, "env": "{{env `E`}}", "itself": "{{user `itself`}}",
            "mixed": "{{env `E`}}-{{user `a.b`}}", "secret": "{{env `S`}}{{timestamp}}", "timestamp": "t"},
            "sensitive-variables": ["needed", "secret"],
            "builders": [{"type": "null", "ssh_host": "{{user `timestamp`}}{{user `from_file`}}"}]}"#,
    );
    let expected = r#"# two
# lines

variable "a_b" {
  type    = string
  default = "1"
}

variable "env" {
  type    = string
  default = "${env("E")}"
}

variable "env_E" {
  type    = string
  default = "${env("E")}"
}

variable "env_S" {
  type      = string
  default   = "${env("S")}"
  sensitive = true
}

variable "from_file" {
  type = string
}

variable "itself" {
  type = string
}

variable "needed" {
  type      = string
  sensitive = true
}

variable "timestamp" {
  type    = string
  default = "t"
}

locals { timestamp = regex_replace(timestamp(), "[- TZ:]", "") }

local "secret" {
  sensitive  = true
  expression = "${var.env_S}${local.timestamp}"
}

locals {
  mixed = "${var.env_E}-${var.a_b}"
}

source "null" "autogenerated_1" {
  ssh_host = "${var.timestamp}${var.from_file}"
}

build {
  sources = ["source.null.autogenerated_1"]

}
"#;
    assert_eq!(result.text, expected);
    let found: Vec<_> = result.findings.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(found, ["upgrade/new-name", "upgrade/now-a-local"]);
    let again = run(
        r#"{"variables": {"timestamp": "{{timestamp}}"}, "builders": [{"type": "{{user `timestamp`}}"}]}"#,
    );
    assert!(again.text.contains("  timestamp_2 = \"${local.timestamp}\""), "{}", again.text);
}

#[test]
fn builds_are_named_by_type_and_source() {
    let result = run(
        r#"{"builders": [{"type": "null", "name": "web 1.0"}, {"type": "null", "name": "web 1_0"}, {"type": "null"}],
            "provisioners": [{"type": "shell", "only": ["web 1.0", "null"], "timeout": "90s", "max_retries": 3,
                "override": {"web 1_0": {"inline": ["a", {"b c": 1}], "env": {}}}}],
            "error-cleanup-provisioner": {"type": "ansible"},
            "post-processors": [["compress", {"type": "manifest", "name": "m", "except": ["null"], "keep_input_artifact": true}]]}"#,
    );
    let build = result.text.split_once("build {").expect("a build block").1;
    let expected = r#"
  sources = ["source.null.autogenerated_1", "source.null.web_1_0", "source.null.web_1_0_2"]

  provisioner "shell" {
    max_retries = "3"
    only        = ["null.web_1_0", "null.autogenerated_1"]
    override = {
      web_1_0_2 = {
        env = {}
        inline = [
          "a",
          {
            "b c" = 1
          },
        ]
      }
    }
    timeout = "1m30s"
  }

  error-cleanup-provisioner "ansible" {
  }

  post-processors {
    post-processor "compress" {
    }
    post-processor "manifest" {
      keep_input_artifact = true
      except              = ["null.autogenerated_1"]
      name                = "m"
    }
  }
}
"#;
    assert_eq!(build, expected);
    assert!(result.text.starts_with("packer {\n  required_plugins {\n    ansible = {\n"), "{}", result.text);
}

#[test]
fn maps_and_blocks_are_told_apart() {
    let result = run(
        r#"{"builders": [{"type": "null", "tags": {"b": 1, "a": "x", "{{user `k`}}": true, "for": null}, "nothing": {}, "none": [],
            "disk": [{"size": 1.50}, {"size": 2}], "nested": {"list": ["a"], "x": 1}, "plan_info": {"name": "p"},
            "mixed": ["a", {"b": 2}], "not a name": 1}]}"#,
    );
    let source = result.text.split_once("source ").expect("a source").1;
    let expected = r#""null" "autogenerated_1" {
  disk {
    size = 1.5
  }
  disk {
    size = 2
  }
  mixed = [
    "a",
    {
      b = 2
    },
  ]
  nested {
    list = ["a"]
    x    = 1
  }
  plan_info {
    name = "p"
  }
  tags = {
    a          = "x"
    b          = 1
    "for"      = null
    "${var.k}" = true
  }
}
"#;
    assert!(source.starts_with(expected), "{source}");
    let found: Vec<_> = result.findings.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(found, ["upgrade/left-to-you"]);
}

#[test]
fn annotations_are_comments_only() {
    let text = r#"{"min_packer_version": "1.7.0", "variables": {"a": "", "b": "{{user `a`}}{{isotime `2006`}}{{timestamp}}"},
        "builders": [{"type": "null"}]}"#;
    let (template, _) = parse(&SourceFile::new("t.json", text));
    let annotated = upgrade(&template.expect("a template"), true).text;
    let code = |text: &str| -> Vec<String> {
        text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).map(str::to_owned).collect()
    };
    assert_eq!(code(&annotated), code(&run(text).text));
    assert_eq!(annotated.lines().filter(|l| l.starts_with('#')).count(), 10, "{annotated}");
}

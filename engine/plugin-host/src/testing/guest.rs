//! Guests written as WebAssembly text: the frame of a provisioner, into which a test puts what the guest does.

use std::path::Path;

/// A guest as WebAssembly text that describes itself as `plugin` with one provisioner `name`.
pub struct Guest {
    pub plugin: &'static str,
    pub name: &'static str,
    /// Imports of the core module.
    pub imports: &'static str,
    /// Body of `provision`, before it returns its result.
    pub body: &'static str,
    /// Body of `describe`, before it returns.
    pub describe: &'static str,
    /// Required right: none, or a program for `host-exec`.
    pub requires: Option<&'static str>,
    /// Added to the world.
    pub world: &'static str,
    /// Replaces `0.1.0` in the whole interface.
    pub version: &'static str,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            plugin: "test/guest",
            name: "guest",
            imports: "",
            body: "",
            describe: "",
            requires: None,
            world: "",
            version: "0.1.0",
        }
    }
}

const BASE: u32 = 4096;

#[derive(Default)]
struct Image(Vec<u8>);

impl Image {
    fn put(&mut self, bytes: &[u8]) -> u32 {
        while !self.0.len().is_multiple_of(8) {
            self.0.push(0);
        }
        let at = BASE + u32::try_from(self.0.len()).expect("small");
        self.0.extend_from_slice(bytes);
        at
    }

    fn text(&mut self, text: &str) -> [u8; 8] {
        let at = self.put(text.as_bytes());
        pair(at, text.len())
    }
}

fn pair(at: u32, length: usize) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&at.to_le_bytes());
    bytes[4..].copy_from_slice(&u32::try_from(length).expect("small").to_le_bytes());
    bytes
}

impl Guest {
    /// The component.
    pub fn build(&self) -> Vec<u8> {
        let mut image = Image::default();
        let empty = pair(0, 0);
        let capabilities = match self.requires {
            None => empty,
            Some(program) => {
                let program = image.text(program);
                let list = image.put(&program);
                let reason = image.text("to test");
                // capability: tag 2 (host-exec), list; required: bool; reason: string
                let mut request = vec![2u8, 0, 0, 0];
                request.extend(pair(list, 1));
                request.extend([1, 0, 0, 0]);
                request.extend(reason);
                pair(image.put(&request), 1)
            }
        };
        let mut extension = vec![0u8; 4];
        for text in [self.name, "a guest", "", "{\"type\":\"object\"}"] {
            extension.extend(image.text(text));
        }
        extension.extend(empty);
        extension.extend(capabilities);
        let extensions = pair(image.put(&extension), 1);
        let mut descriptor = Vec::new();
        for text in [self.plugin, "1.0.0", "a test", "MIT", ""] {
            descriptor.extend(image.text(text));
        }
        descriptor.extend(extensions);
        let descriptor = image.put(&descriptor);
        let prepared = image.put(&[0; 40]);
        let mut outcome = vec![0u8; 4];
        outcome.extend(image.text("{}"));
        outcome.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let outcome = image.put(&outcome);
        let data: String = image.0.iter().map(|b| format!("\\{b:02x}")).collect();
        let (imports, body, describe, v) = (self.imports, self.body, self.describe, self.version);
        let module = format!(
            r#"(module
                {imports}
                (memory (export "memory") 2)
                (global $heap (mut i32) (i32.const 65536))
                (data (i32.const {BASE}) "{data}")
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                    (global.set $heap (i32.add (local.get $at) (local.get 3)))
                    (block $enough
                        (br_if $enough (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
                        (drop (memory.grow (i32.add (i32.shr_u (local.get 3) (i32.const 16)) (i32.const 1)))))
                    (local.get $at))
                (func (export "fornax:plugin/plugin@{v}#describe") (result i32) {describe} (i32.const {descriptor}))
                (func (export "fornax:plugin/provisioner@{v}#prepare")
                    (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const {prepared}))
                (func (export "fornax:plugin/provisioner@{v}#provision") (param i32 i32 i32 i32) (result i32)
                    (local $n i32) {body} (i32.const {outcome})))"#
        );
        let mut module = wat::parse_str(module).expect("the module is valid");
        let interface = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let mut resolve = wit_parser::Resolve::default();
        let folder = tempfile::tempdir().expect("a folder");
        for entry in std::fs::read_dir(interface).expect("the interface") {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("readable").replace("0.1.0", v);
            std::fs::write(folder.path().join(path.file_name().expect("named")), text).expect("written");
        }
        std::fs::write(
            folder.path().join("test.wit"),
            format!(
                "package fornax:plugin@{v};\nworld test-plugin {{ include provisioner-plugin; {} }}\n",
                self.world
            ),
        )
        .expect("written");
        let (package, _) = resolve.push_dir(folder.path()).expect("the interface is valid");
        let world = resolve.select_world(&[package], Some("test-plugin")).expect("the world exists");
        wit_component::embed_component_metadata(
            &mut module,
            &resolve,
            world,
            wit_component::StringEncoding::UTF8,
        )
        .expect("embedded");
        wit_component::ComponentEncoder::default()
            .module(&module)
            .expect("a module")
            .validate(true)
            .encode()
            .expect("a component")
    }
}

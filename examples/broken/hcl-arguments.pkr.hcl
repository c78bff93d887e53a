source "file" "notes" {
  content "built by packer"
  target =
  name: "notes"
  size = 1 MB
  - owner = "packer"
  content = "built by packer"
  content = "built by hand"
}

source "file" "${var.name}" {
  target = "motd"
}

build {
  sources = ["source.file.notes"]
  name
}

packer {
  required_plugins {
    azure   = { version = "~> 1.4.0", source = "github.com/hashicorp/azure" }
    ansible = { version = "~> 1.1", source = "github.com/hashicorp/ansible" }
  }
}

source "file" "notes" {
  target  = "notes.txt"
  content = "hello"
}

build {
  sources = ["source.file.notes"]
}

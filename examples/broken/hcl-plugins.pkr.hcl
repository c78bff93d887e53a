packer {
  required_version = "one"

  required_plugins {
    azure     = { version = ">= 1.4, < 2.0", source = "github.com/hashicorp/azure" }
    shell     = { version = "1.x", source = "github.com/hashicorp/shell" }
    ansible   = { version = "~> 1.1", source = "github.com/hashicorp/ansible" }
    docker    = "1.0.0"
    qemu      = { version = "~> 1" }
    vagrant   = { version = "~> 1", source = "hashicorp/vagrant" }
    amazon    = { version = "~> 1", source = "github.com/hashicorp/amazon", checksum = "0a1b" }
    vsphere   = { version = var.vsphere, source = "github.com/hashicorp/vsphere" }
  }

  required_plugins {
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

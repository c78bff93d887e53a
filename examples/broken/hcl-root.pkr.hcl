packer {
  required_version = ">= 2.0"
  required_plugin {
    azure = { version = "~> 2", source = "github.com/hashicorp/azure" }
  }
}

region = "westeurope"

variables {
  size = "Standard_B2s"
  validation {
    condition = true
  }
}

local "image" {
  value = "web-1"
}

sources "file" "notes" {
  target = "notes.txt"
}

source "file" "motd" "welcome" {
  target = "motd"
}

source "file" {
  target = "motd"
}

build "web" {
  sources = ["source.file.notes"]
}

variable "disks" {
  default = "100,200"
}

source "file" "web" {
  target  = "web.txt"
  content = "web"
}

build {
  sources = ["source.file.web"]

  dynamic "provisioner" {
    for_each = var.disks
    labels   = ["shell-local"]
    content {
      inline = ["mkfs /dev/disk${provisioner.value}"]
    }
  }
  dynamic "provisioner" {
    labels = ["shell-local"]
    content {
      inline = ["date"]
    }
  }
  dynamic "provisioner" {
    for_each = ["a", "b"]
    iterator = "disk"
    labels   = ["shell-local"]
    content {
      inline = ["echo ${disk.value}"]
    }
  }
}

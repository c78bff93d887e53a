variable "location" {
  default = 'westeurope'
}

variable "vm_size" {
  default = “Standard_B2s”
}

source "file" "notes" {
  "content" = `built by packer`
  target    = "notes.txt";
}

build {
  sources = ["source.file.notes"]
}

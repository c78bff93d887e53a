variable "password" {
  default   = "swordfish"
  sensitive = true
}

source "null" "windows" {
  communicator = "none"
}

build {
  sources = ["source.null.windows"]

  provisioner "powershell" {
    inline                   = ["Get-Date"]
    elevated_user            = "packer"
    elevated_execute_command = "powershell {{.Path}} -Password ${var.password}"
  }
}

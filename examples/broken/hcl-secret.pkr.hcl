variable "password" {
  type      = string
  default   = "swordfish"
  sensitive = true
}

locals {
  login   = "admin:${var.password}"
  timeout = var.password
}

source "null" "web" {
  ssh_host     = "web.example.org"
  ssh_username = "admin"
  ssh_password = var.password
  ssh_timeout  = local.timeout
  ssh_port     = "${var.password}"
}

build {
  sources = ["source.null.web"]

  provisioner "shell-local" {
    env    = { (local.login) = "x" }
    inline = ["env"]
  }
  provisioner "shell-local" {
    inline      = ["curl -u ${local.login} https://example.org"]
    only_on     = [var.password]
    max_retries = var.password
  }
  post-processor "compress" {
    compression_level = var.password
  }
}

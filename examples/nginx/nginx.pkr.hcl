# The same image as nginx.json makes, in HCL2: the smallest thing that is worth an image.

packer {
  required_plugins {
    azure = {
      source  = "github.com/hashicorp/azure"
      version = ">= 2"
    }
  }
}

variable "client_id" {
  type    = string
  default = env("ARM_CLIENT_ID")
}

variable "client_secret" {
  type      = string
  default   = env("ARM_CLIENT_SECRET")
  sensitive = true
}

variable "image_group" {
  type    = string
  default = "images"
}

variable "image_name" {
  type    = string
  default = "nginx"
}

variable "subscription_id" {
  type    = string
  default = env("ARM_SUBSCRIPTION_ID")
}

variable "tenant_id" {
  type    = string
  default = env("ARM_TENANT_ID")
}

source "azure-arm" "nginx" {
  azure_tags = {
    purpose = "example"
  }
  client_id                         = var.client_id
  client_secret                     = var.client_secret
  image_offer                       = "debian-12"
  image_publisher                   = "Debian"
  image_sku                         = "12"
  location                          = "West Europe"
  managed_image_name                = var.image_name
  managed_image_resource_group_name = var.image_group
  os_type                           = "Linux"
  subscription_id                   = var.subscription_id
  tenant_id                         = var.tenant_id
  vm_size                           = "Standard_B1s"
}

build {
  sources = ["source.azure-arm.nginx"]

  provisioner "shell" {
    environment_vars = ["DEBIAN_FRONTEND=noninteractive"]
    execute_command  = "chmod +x {{ .Path }}; {{ .Vars }} sudo -E sh '{{ .Path }}'"
    inline = [
      "apt-get update",
      "apt-get install -y --no-install-recommends nginx-light",
      "systemctl enable nginx",
      "apt-get clean",
    ]
  }

  provisioner "file" {
    destination = "/tmp/index.html"
    source      = "${path.root}/index.html"
  }

  provisioner "shell" {
    execute_command = "{{ .Vars }} sudo -E sh '{{ .Path }}'"
    inline = [
      "install -m 0644 /tmp/index.html /var/www/html/index.html",
      "rm /tmp/index.html",
      "/usr/sbin/waagent -force -deprovision+user && export HISTSIZE=0 && sync",
    ]
  }

  post-processor "manifest" {
    custom_data = {
      purpose = "example"
    }
    output = "packer-manifest.json"
  }
}

variable "machines" {
  type    = number
  default = 0
}

variable "disk_gb" {
  default = "64 GB"
}

locals {
  used        = var.machines * 20
  per_machine = local.used / var.machines
  disk        = var.disk_gb * 2
  size        = local.disk + 1
  name        = try(var.names[0], jsondecode("{"))
}

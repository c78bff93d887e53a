variable "image_name" {
  type    = string
  default = "Web Image"

  validation {
    condition     = can(regex("^[a-z-]+$", var.image_name))
    error_message = "The name of an image has lower-case letters and hyphens only."
  }
}

variable "disk_gb" {
  type    = number
  default = 64

  validation {
    condition     = var.disk_gb >= 30 && var.image_name != ""
    error_message = "The disk is too small."
  }
  validation {
    condition     = true
    error_message = "This can't be."
  }
  validation {
    condition     = var.disk_gb < 4096
    error_message = "too large"
  }
  validation { condition = var.disk_gb > 0 }
}

variable "zone" {
  default = "west"

  validation {
    condition     = length(var.zone)
    error_message = "There is no zone ${var.zone}."
  }
  validation {
    condition     = upper(var.zone)
    error_message = "A zone is a number."
  }
}

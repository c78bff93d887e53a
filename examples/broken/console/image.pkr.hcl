variable "names" {
  default = ["web", "db"]
}

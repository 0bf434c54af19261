variable "region" {
  description = "Region of everything here."
  type        = string
  default     = "eu-central-1"
}

variable "name" {
  description = "Name of the deployment."
  type        = string
  default     = "nightly-etl"
}

variable "image" {
  description = "The job's image, by digest; `make deploy` says it."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, with NAT."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups that reach the databases, and HTTPS."
  type        = list(string)
}

variable "tables" {
  description = "The tables to copy, as TABLES has them."
  type        = string
}

variable "architecture" {
  description = "Architecture of the image and of everything that runs it: x86_64, or arm64, which costs a fifth less."
  type        = string
  default     = "x86_64"
}

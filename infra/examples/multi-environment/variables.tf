variable "region" {
  description = "Region of everything here."
  type        = string
  default     = "eu-central-1"
}

variable "image" {
  description = "The job's image, by digest; `make deploy` says it."
  type        = string
}

variable "environments" {
  description = "Inputs that differ between environments, by the environment's name; image is for an environment that keeps another image."
  type = map(object({
    image      = optional(string)
    vpc_id     = string
    subnet_ids = list(string)
    databases  = map(object({ security_group_id = string, port = optional(number, 5432) }))
    tables     = string
    compute    = optional(string, "fargate")
    shards     = optional(number, 2)
    scheduled  = optional(bool, false)
  }))
}

variable "architecture" {
  description = "Architecture of the image and of everything that runs it: x86_64, or arm64, which costs a fifth less."
  type        = string
  default     = "x86_64"
}

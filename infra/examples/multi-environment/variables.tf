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
  description = "What differs from environment to environment, by its name; image is for one that stays with another image."
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
  description = "What the image is built for, and runs on: x86_64, or arm64, which costs a fifth less."
  type        = string
  default     = "x86_64"
}

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

variable "architecture" {
  description = "Architecture of the image and of everything that runs it: x86_64, or arm64, which costs a fifth less."
  type        = string
  default     = "x86_64"
}

variable "vpc_id" {
  description = "VPC of the jobs and their databases."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, with NAT."
  type        = list(string)
}

variable "databases" {
  description = "The databases' security groups, by any name."
  type        = map(object({ security_group_id = string, port = optional(number, 5432) }))
}

variable "slack_secrets" {
  description = "SecureStrings that the notifier reads: webhook_url, or bot_token and channel, with which each job can have a channel of its own."
  type        = map(string)
  default     = { webhook_url = "Slack's incoming webhook." }
}

variable "emails" {
  description = "Mail addresses that hear of failures."
  type        = set(string)
  default     = []
}

variable "force_destroy" {
  description = "Whether `terraform destroy` takes the table with its jobs."
  type        = bool
  default     = false
}

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
  description = "VPC of the job and its databases."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets."
  type        = list(string)
}

variable "route_table_ids" {
  description = "Route tables of those subnets, for S3."
  type        = list(string)
  default     = []
}

variable "given_endpoints" {
  description = "Interface endpoints that the VPC has already, by service (ssm, ecr.api, …), each with its security group, which must let the VPC in."
  type        = map(string)
  default     = {}
}

variable "make_s3_endpoint" {
  description = "Whether to make the gateway endpoint for S3; false where the route tables have one."
  type        = bool
  default     = true
}

variable "compute" {
  description = "Service that runs the containers: batch, fargate or codebuild."
  type        = string
  default     = "fargate"
}

variable "platform" {
  description = "With compute = batch: fargate or ec2, whose hosts need three endpoints more."
  type        = string
  default     = "fargate"
}

variable "databases" {
  description = "The databases' security groups, by any name."
  type        = map(object({ security_group_id = string, port = optional(number, 5432) }))
}

variable "tables" {
  description = "The tables to copy, as TABLES has them."
  type        = string
}

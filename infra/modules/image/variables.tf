variable "name" {
  description = "Name of the repository."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", var.name)) && length(var.name) <= 256
    error_message = "name must be lower-case letters and digits, with single . _ / - between them."
  }
}

variable "keep" {
  description = "Number of images to keep; older ones expire. A rollback needs the earlier image."
  type        = number
  default     = 20

  validation {
    condition     = var.keep >= 2 && floor(var.keep) == var.keep
    error_message = "keep must be a whole number, 2 or more: the image in use and one to roll back to."
  }
}

variable "force_delete" {
  description = "Whether destroying the repository takes its images with it."
  type        = bool
  default     = false
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the images; null for AWS's own key of the registry."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything here."
  type        = map(string)
  default     = {}
}

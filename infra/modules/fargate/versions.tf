terraform {
  # 1.11 and 5.88: write-only arguments. With an older pair, a refresh would read the secrets into the state.
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.88"
    }
  }
}

output "repository_url" {
  description = "Repository of the image."
  value       = module.image.repository_url
}

output "state_machine_arns" {
  description = "The nightly state machine of each environment."
  value       = { for name, made in module.nightly_etl : name => made.state_machine_arn }
}

output "secrets_to_set" {
  description = "SecureStrings to set by hand, by environment."
  value       = { for name, made in module.nightly_etl : name => made.secrets_to_set }
}

output "starter_function_names" {
  description = "Call it to run an environment's job now."
  value       = { for name, made in module.nightly_etl : name => made.starter_function_name }
}

output "architecture" {
  description = "Architecture of the image."
  value       = var.architecture
}

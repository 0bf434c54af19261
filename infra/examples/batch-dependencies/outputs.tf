output "repository_url" {
  description = "Repository of the image."
  value       = module.image.repository_url
}

output "state_machine_arn" {
  description = "Start it to submit both jobs."
  value       = aws_sfn_state_machine.chain.arn
}

output "secrets_to_set" {
  description = "SecureStrings to set by hand."
  value       = module.settings.secret_names
}

output "architecture" {
  description = "Architecture of the image."
  value       = var.architecture
}

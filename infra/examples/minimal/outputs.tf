output "repository_url" {
  description = "Repository of the image."
  value       = module.image.repository_url
}

output "architecture" {
  description = "Architecture of the image."
  value       = var.architecture
  depends_on  = [module.image] # with the repository, so that `apply -target` of it gives this, too
}

output "secrets_to_set" {
  description = "SecureStrings to set by hand."
  value       = module.settings.secret_names
}

output "cluster_arn" {
  description = "Cluster of the task."
  value       = module.task.cluster_arn
}

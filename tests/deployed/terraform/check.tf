# Asks Access Entry Guard at the end of every plan and apply whether a role's access entry still belongs to the role
# that exists. A check block warns; it stops nothing.
#
# The caller needs lambda:InvokeFunction on the function's ARN and on the same with :$LATEST, which is the qualifier that
# the data source sends unless it is told another.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

provider "aws" {
  alias  = "guard"
  region = var.guard_region
}

variable "guard_region" {
  description = "Region of the guard's stack."
  type        = string
  default     = "us-east-1"
}

variable "guard_function_name" {
  description = "Name or ARN of the guard's function."
  type        = string
  default     = "access-entry-guard"
}

variable "principal_arn" {
  description = "ARN of the role; in your own configuration: aws_eks_access_entry.this.principal_arn."
  type        = string
}

variable "cluster_name" {
  description = "Cluster of the entry; in your own configuration: aws_eks_access_entry.this.cluster_name."
  type        = string
}

variable "cluster_region" {
  description = "Region of the cluster."
  type        = string
}

check "access_entry_is_fresh" {
  # Scoped to the check: where the function fails or is not there, that is a warning too.
  data "aws_lambda_invocation" "check" {
    provider      = aws.guard
    function_name = var.guard_function_name
    input = jsonencode({
      command      = "check"
      principalArn = var.principal_arn
      clusterName  = var.cluster_name
      region       = var.cluster_region
    })
  }

  assert {
    condition = alltrue([
      for entry in jsondecode(data.aws_lambda_invocation.check.result).entries :
      !contains(["stale", "orphaned", "missing"], entry.verdict)
    ])
    error_message = "The access entry of ${var.principal_arn} in ${var.cluster_name} does not let its role in."
  }

  assert {
    condition = (
      length(jsondecode(data.aws_lambda_invocation.check.result).entries) > 0 &&
      length(jsondecode(data.aws_lambda_invocation.check.result).blindSpots) == 0 &&
      alltrue([
        for entry in jsondecode(data.aws_lambda_invocation.check.result).entries : entry.verdict != "undecided"
      ])
    )
    error_message = "Whether the access entry of ${var.principal_arn} in ${var.cluster_name} is good could not be told."
  }
}

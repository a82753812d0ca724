# Deploys Access Entry Guard with Terraform: the stack that `make package` made a template for.
#
# Terraform keeps the stack, CloudFormation what is in it. One stack looks after one account, and all of its Regions.

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
  region = var.region
}

variable "region" {
  description = "Where IAM's events arrive, and the bucket with the package is."
  type        = string
  default     = "us-east-1"

  validation {
    condition     = contains(["us-east-1", "cn-north-1", "us-gov-west-1"], var.region)
    error_message = "IAM's events arrive in us-east-1, cn-north-1 (AWS China) or us-gov-west-1 (AWS GovCloud (US))."
  }
}

variable "template_url" {
  description = "The URL that `make package` printed."
  type        = string
}

variable "parameters" {
  description = "The template's parameters where they are not the defaults; observe changes nothing in EKS."
  type        = map(string)
  default     = { Mode = "observe" }
}

variable "tags" {
  description = "Tags of the stack, which CloudFormation hands on to what is in it."
  type        = map(string)
  default     = {}
}

resource "aws_cloudformation_stack" "guard" {
  name         = "access-entry-guard"
  template_url = var.template_url
  capabilities = ["CAPABILITY_NAMED_IAM"]
  parameters   = var.parameters
  tags         = var.tags
}

output "next_steps" {
  description = "What to do now."
  value       = aws_cloudformation_stack.guard.outputs["NextSteps"]
}

"""Appointments for a CRM."""

from examples.crm_hand_over.crm_hand_over import CrmHandOver

__all__ = ["CrmHandOver"]

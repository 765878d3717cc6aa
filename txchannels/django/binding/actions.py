"""What happens to a row, as messages name it."""

__all__ = ["CREATE", "DELETE", "UPDATE"]

CREATE = "create"
UPDATE = "update"
DELETE = "delete"

"""Files and requests that are broken or made to harm."""

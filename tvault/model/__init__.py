"""The domain, pure: values, tokens, keys, fields, commands and the rules that judge them."""

"""How few words or tokens must change until a model decides otherwise? Attacks on texts, and on ids."""

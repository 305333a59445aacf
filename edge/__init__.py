"""The station: trigger -> capture -> infer -> decide -> record -> tell."""

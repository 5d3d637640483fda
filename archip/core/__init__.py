"""The nouns and the rules of archip; imports nothing else of ours."""

"""The page of `a2sb web`: its work, its tabs and its player."""

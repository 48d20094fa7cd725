"""The page of ``a2sb web``: what it does (``work``), how it looks (``page``), what it plays."""

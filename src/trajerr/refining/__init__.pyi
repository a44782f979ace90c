from .settings import RefineSettings as RefineSettings

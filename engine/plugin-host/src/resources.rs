pub struct SecretHandle; pub struct HostFile; pub struct HostWriter; pub struct WorkspaceHandle; pub struct OutputLockHandle; pub struct Process; pub struct Target; pub struct ArtifactHandle;

"""Files at servers: SFTP and object stores."""

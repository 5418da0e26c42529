-- change-password sets another password of an account.
GRANT UPDATE (password_hash) ON users TO zerocart_user;

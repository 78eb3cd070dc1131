CREATE TABLE note (
  uuid varchar(36) PRIMARY KEY,
  author varchar(60) NOT NULL,
  text varchar(200)
);

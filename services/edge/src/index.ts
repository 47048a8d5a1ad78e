// edge: a service; it has no door. Others meet it on the wire and through Services.
export {};
